"""Test accuracy over seeds, as the pipeline trains: python benchmarks/accuracy.py {digits,mnist,spoken_digits} [SEEDS]

Each seed sets the initial weights, the shuffling and the augmentation, and for digits, which has no official test
split, the splits as well. Writes docs/benchmarks/accuracy-<task>.json.
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
from closedloop.data.examples import labels, read_examples
from closedloop.files import write_json
from closedloop.learning import training
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.serving.predictor import Predictor
from closedloop.sources.acquire import acquire
from closedloop.tasks import get_task

SEEDS = {"digits": 5, "mnist": 3, "spoken_digits": 3}


def main() -> None:
    task = sys.argv[1]
    seeds = range(int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS[task])
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            overrides = [f"seed={seed}"] + ([f"preprocess.seed={seed}"] if task == "digits" else [])
            runs.append(measure(parse(compose(task, overrides), "conf"), Paths(task, Path(folder))))
            print(runs[-1], flush=True)
    scores = [run["test_accuracy"] for run in runs]
    low, high = interval(scores)
    result = {
        "task": task,
        "mean_test_accuracy": statistics.mean(scores),
        "interval_95": [low, high],
        "longest_seconds": max(run["seconds"] for run in runs),
        "runs": runs,
        "machine": describe_machine(),
        "command": f"python benchmarks/accuracy.py {task} {len(scores)}",
    }
    write_json(Path("docs/benchmarks") / f"accuracy-{task}.json", result)
    print(f"{task}: mean test accuracy {statistics.mean(scores):.4%} ({low:.4%} to {high:.4%}), {len(scores)} seeds")


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
    truth, classes = np.array(labels(test)), np.array(predictor.classes)
    answers = classes[predictor.probabilities(test).argmax(axis=1)]
    baseline = get_task(params.task.kind).baseline(read_examples(paths.examples("train")), test, params)
    return {
        "seed": params.seed,
        "test_accuracy": float((answers == truth).mean()),
        "baseline": baseline.name,
        "baseline_accuracy": float((classes[baseline.probabilities.argmax(axis=1)] == truth).mean()),
        "test_examples": test.num_rows,
        "epochs": trained.facts["epochs"],
        "best_epoch": trained.facts["best_epoch"],
        "precision": trained.facts["precision"],
        "seconds": round(seconds, 1),
    }


def interval(scores: list[float]) -> tuple[float, float]:
    """Student's t for the mean of few, 95%."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(scores) - 1)) * statistics.stdev(scores) / len(scores) ** 0.5
    return statistics.mean(scores) - half, statistics.mean(scores) + half


if __name__ == "__main__":
    os.environ["TQDM_MININTERVAL"] = "5"
    tqdm.monitor_interval = 0
    main()
