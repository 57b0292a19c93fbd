"""Test accuracy over seeds, as the pipeline trains: python benchmarks/accuracy.py TASK [SEEDS]

Each seed sets the initial weights, the shuffling and the augmentation, and where there is no
official test split, as for digits, adult and sms_spam, the splits as well. Writes docs/benchmarks/accuracy-<task>.json.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from tqdm import tqdm

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.data.examples import read_examples
from closedloop.evaluation.answers import Answers
from closedloop.evaluation.assessment import assess, assess_baseline
from closedloop.evaluation.metrics import confusion_matrix, f1, roc_areas
from closedloop.evaluation.predictions import Predictions
from closedloop.files import write_json
from closedloop.learning import training
from closedloop.learning.record import Nowhere
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.registry.judge import load_judge
from closedloop.serving.predictor import Predictor
from closedloop.sources.acquire import acquire
from closedloop.tasks import get_task

SEEDS = {"digits": 5, "mnist": 3, "adult": 3, "spoken_digits": 3, "sms_spam": 3}


def main() -> None:
    task = sys.argv[1]
    seeds = range(int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS[task])
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            official = "test" in parse(compose(task), "conf").source.format.splits
            overrides = [f"seed={seed}"] + ([] if official else [f"preprocess.seed={seed}"])
            runs.append(measure(parse(compose(task, overrides), "conf"), Paths(task, Path(folder))))
            print(runs[-1], flush=True)
    scores = [run["test_accuracy"] for run in runs]
    low, high = interval(scores)
    result = {
        "task": task,
        "mean_test_accuracy": statistics.mean(scores),
        "interval_95": [low, high],
        "mean_test_roc_auc": statistics.mean(run["test_roc_auc"] for run in runs),
        "mean_baseline_roc_auc": statistics.mean(run["baseline_roc_auc"] for run in runs),
        "mean_f1": {name: statistics.mean(run["f1"][name] for run in runs) for name in runs[0]["f1"]},
        "mean_baseline_accuracy": statistics.mean(run["baseline_accuracy"] for run in runs),
        "mean_baseline_f1": {
            name: statistics.mean(run["baseline_f1"][name] for run in runs) for name in runs[0]["baseline_f1"]
        },
        "longest_seconds": max(run["seconds"] for run in runs),
        "runs": runs,
        "machine": describe_machine(),
        "command": f"python benchmarks/accuracy.py {task} {len(scores)}",
    }
    write_json(Path("docs/benchmarks") / f"accuracy-{task}.json", result)
    print(f"{task}: mean test accuracy {statistics.mean(scores):.4%} ({low:.4%} to {high:.4%}), {len(scores)} seeds")


def measure(params: Params, paths: Paths) -> dict[str, Any]:
    """Train as the pipeline does and look at the test split once."""
    found, simple, facts = answered(params, paths)
    assert isinstance(found, Predictions) and isinstance(simple, Predictions)  # noqa: S101
    return {
        "seed": params.seed,
        "test_accuracy": float(found.correct.mean()),
        "test_roc_auc": _roc_auc(found),
        "f1": _f1(found),
        "baseline": facts.pop("baseline"),
        "baseline_accuracy": float(simple.correct.mean()),
        "baseline_roc_auc": _roc_auc(simple),
        "baseline_f1": _f1(simple),
        **facts,
    }


def answered(params: Params, paths: Paths) -> tuple[Answers, Answers, dict[str, Any]]:
    """What the network and the baseline say about the test split, and how the training went."""
    acquire(params, paths)
    preprocess(params, paths)
    training.save_session(training.open_session(params, paths), paths)
    started = time.monotonic()
    trained = training.fit(params, paths, Nowhere())
    seconds = time.monotonic() - started
    training.save(trained, paths)
    training.close_session(paths)
    predictor = Predictor.load(paths.model / "model.onnx", paths.preprocessor)
    test, train, judge = (
        read_examples(paths.examples("test")),
        read_examples(paths.examples("train")),
        load_judge(params),
    )
    baseline = get_task(params.task.kind).baseline(train, test, params)
    facts = {
        "baseline": baseline.name,
        "test_examples": test.num_rows,
        "epochs": trained.facts["epochs"],
        "best_epoch": trained.facts["best_epoch"],
        "precision": trained.facts["precision"],
        "seconds": round(seconds, 1),
    }
    found = assess(predictor, test, params, judge, train)
    return found, assess_baseline(baseline, test, predictor.target, judge, train), facts


def _roc_auc(found: Predictions) -> float:
    return float(roc_areas(found.labels, found.probabilities, np.ones((1, len(found.ids))))[0])


def _f1(found: Predictions) -> dict[str, float]:
    counts = confusion_matrix(found.labels, found.predicted, len(found.classes)).astype(float)
    values = f1(counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0))
    return dict(zip(found.classes, values.tolist(), strict=True))


def interval(scores: list[float]) -> tuple[float, float]:
    """Student's t for the mean of few, 95%."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(scores) - 1)) * statistics.stdev(scores) / len(scores) ** 0.5
    return statistics.mean(scores) - half, statistics.mean(scores) + half


if __name__ == "__main__":
    os.environ["TQDM_MININTERVAL"] = "5"
    tqdm.monitor_interval = 0
    main()
