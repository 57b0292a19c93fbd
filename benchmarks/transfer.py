"""What the weights of `digits` are worth to `mnist`, and the residual network beside the classic one.

python benchmarks/transfer.py [SEEDS] ; writes docs/benchmarks/transfer.json. Each seed trains a trunk on `digits`, then
`mnist` on few and on more examples, looked at on the whole official test split: from scratch, with the trunk frozen,
and with all layers trained further. Then both networks on `digits` and on the larger part of `mnist`, from scratch.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from accuracy import interval, measure
from machine import describe_machine
from tqdm import tqdm

from closedloop.composition import compose
from closedloop.config import parse
from closedloop.files import write_json
from closedloop.paths import Paths

# what is left of mnist's 60,000 examples to train on, and for how many epochs; one of 20 validates
PARTS = {360: ("preprocess.production_share=0.944", 30), 3000: ("preprocess.production_share=0.9", 12)}
WAYS = {"scratch": [], "frozen": ["transfer.frozen=true"], "fine-tuned": []}


def main() -> None:
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for seed in seeds:
            for network in ("cnn", "resnet"):
                found = one("digits", root, seed, [f"preprocess.seed={seed}", f"model={network}"])
                runs.append({"task": "digits", "network": network, "way": "scratch", **found})
                weights = Paths("digits", root).model / "weights.safetensors"
                for examples, (share, epochs) in PARTS.items():
                    for way, how in WAYS.items():
                        if network == "resnet" and (examples, way) != (3000, "scratch"):
                            continue
                        start = [] if way == "scratch" else [f"transfer.weights={weights}"]
                        size = ["preprocess.test_share=0.001", share, f"trainer.max_epochs={epochs}"]
                        found = one("mnist", root, seed, [*size, *start, *how, f"model={network}"])
                        runs.append({"task": f"mnist {examples}", "network": network, "way": way, **found})
    result = {
        "means": [summary(group) for group in grouped(runs)],
        "runs": runs,
        "machine": describe_machine(),
        "command": f"python benchmarks/transfer.py {len(seeds)}",
    }
    write_json(Path("docs/benchmarks/transfer.json"), result)
    for line in result["means"]:
        print(line)


def one(task: str, root: Path, seed: int, overrides: list[str]) -> dict[str, Any]:
    """One training, and its look at the test split."""
    params = parse(compose(task, [f"seed={seed}", *overrides]), "conf")
    found = measure(params, Paths(task, root))
    keys = ("seed", "test_accuracy", "baseline_accuracy", "epochs", "seconds")
    kept = {key: found[key] for key in keys}
    print(task, overrides, kept, flush=True)
    return kept


def grouped(runs: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["task"], run["network"], run["way"]), []).append(run)
    return list(groups.values())


def summary(group: list[dict[str, Any]]) -> dict[str, Any]:
    scores = [run["test_accuracy"] for run in group]
    low, high = interval(scores)
    return {
        **{key: group[0][key] for key in ("task", "network", "way")},
        "mean_test_accuracy": statistics.mean(scores),
        "interval_95": [low, high],
        "mean_baseline_accuracy": statistics.mean(run["baseline_accuracy"] for run in group),
        "median_seconds": statistics.median(run["seconds"] for run in group),
    }


if __name__ == "__main__":
    os.environ["TQDM_MININTERVAL"] = "5"
    tqdm.monitor_interval = 0
    main()
