"""Test accuracy over seeds, as the pipeline trains: python benchmarks/accuracy.py {digits,mnist,adult} [SEEDS]

Each seed sets the initial weights, the shuffling and the augmentation, and where there is no official test split, the
splits as well. The baseline of the kind is fitted and tested on the same splits. Writes
docs/benchmarks/accuracy-<task>.json.
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
from closedloop.evaluation.metrics import roc_areas
from closedloop.evaluation.predictions import Predictions
from closedloop.files import write_json
from closedloop.learning import training
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.serving.predictor import Predictor
from closedloop.sources.acquire import acquire
from closedloop.tasks import get_task

SEEDS = {"digits": 5, "mnist": 3, "adult": 3}


def main() -> None:
    task = sys.argv[1]
    seeds = range(int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS[task])
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            params = parse(compose(task, [f"seed={seed}", f"preprocess.seed={seed}"]), "conf")
            if "test" in params.source.format.splits:  # they are as they are, and so is the validation split
                params = parse(compose(task, [f"seed={seed}"]), "conf")
            runs.append(measure(params, Paths(task, Path(folder))))
            print(runs[-1], flush=True)
    scores = [run["test_accuracy"] for run in runs]
    # Student's t for the mean of few seeds
    half = _t(len(scores)) * statistics.stdev(scores) / len(scores) ** 0.5
    result = {
        "task": task,
        "mean_test_accuracy": statistics.mean(scores),
        "mean_test_roc_auc": statistics.mean(run["test_roc_auc"] for run in runs),
        "interval_95": [statistics.mean(scores) - half, statistics.mean(scores) + half],
        "longest_seconds": max(run["seconds"] for run in runs),
        "runs": runs,
        "machine": describe_machine(),
        "command": f"python benchmarks/accuracy.py {task} {len(scores)}",
    }
    write_json(Path("docs/benchmarks") / f"accuracy-{task}.json", result)
    print(f"{task}: mean test accuracy {statistics.mean(scores):.4%} over {len(scores)} seeds, +- {half:.4%}")


def measure(params: Params, paths: Paths) -> dict[str, Any]:
    """Train as the pipeline does and look at the test split once."""
    acquire(params, paths)
    preprocess(params, paths)
    training.save_session(training.open_session(params, paths), paths)
    started = time.monotonic()
    trained = training.fit(params, paths, lambda _metrics, _epoch: None)
    seconds = time.monotonic() - started
    training.save(trained, paths)
    training.close_session(paths)
    predictor = Predictor.load(paths.model / "model.onnx", paths.preprocessor)
    test = read_examples(paths.examples("test"))
    found = Predictions.of(test, predictor.probabilities(test), predictor.classes)
    baseline = get_task(params.task.kind).baseline(read_examples(paths.examples("train")), test, params)
    simple = Predictions.of(test, baseline.probabilities, params.task.classes)
    return {
        "seed": params.seed,
        "test_accuracy": float(found.correct.mean()),
        "test_roc_auc": _roc_auc(found),
        "baseline": baseline.name,
        "baseline_accuracy": float(simple.correct.mean()),
        "baseline_roc_auc": _roc_auc(simple),
        "test_examples": test.num_rows,
        "epochs": trained.facts["epochs"],
        "best_epoch": trained.facts["best_epoch"],
        "precision": trained.facts["precision"],
        "seconds": round(seconds, 1),
    }


def _roc_auc(found: Predictions) -> float:
    return float(roc_areas(found.labels, found.probabilities, np.ones((1, len(found.ids))))[0])


def _t(count: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, count - 1))


if __name__ == "__main__":
    os.environ["TQDM_MININTERVAL"] = "5"
    tqdm.monitor_interval = 0
    main()
