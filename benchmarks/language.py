"""Surprise of language models at the test split, as the pipeline trains: python benchmarks/language.py [SEEDS]

The model of conf/task/tinyshakespeare.yaml, and the wide one. Each seed sets the initial weights, the shuffling and the
split of training and validation; the test split is the last tenth of the text. Writes
docs/benchmarks/language-tinyshakespeare.json.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import answered, interval
from machine import describe_machine
from tqdm import tqdm

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.evaluation.outcomes import Outcomes
from closedloop.files import write_json
from closedloop.paths import Paths

TASK = "tinyshakespeare"
MODELS = {"char_lstm": [], "char_lstm_wide": ["model=char_lstm_wide", "trainer.max_epochs=14"]}


def main() -> None:
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    result: dict[str, Any] = {"task": TASK}
    for name, overrides in MODELS.items():
        runs = []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                params = parse(compose(TASK, [*overrides, f"seed={seed}", f"preprocess.seed={seed}"]), "conf")
                runs.append(measure(params, Paths(TASK, Path(folder))))
            print(name, runs[-1], flush=True)
        result[name] = summary(runs)
    result |= {"machine": describe_machine(), "command": f"python benchmarks/language.py {len(seeds)}"}
    write_json(Path("docs/benchmarks") / f"language-{TASK}.json", result)


def measure(params: Params, paths: Paths) -> dict[str, Any]:
    """Train as the pipeline does and look at the test split once."""
    found, simple, facts = answered(params, paths)
    assert isinstance(found, Outcomes) and isinstance(simple, Outcomes)  # noqa: S101
    return {"seed": params.seed, "nats": found.values.mean(), "baseline_nats": simple.values.mean(), **facts}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    nats = [run["nats"] for run in runs]
    return {
        "mean_nats": statistics.mean(nats),
        "interval_95": interval(nats) if len(runs) > 1 else None,
        "mean_bits": statistics.mean(nats) / np.log(2),
        "mean_perplexity": statistics.mean(np.exp(nats)),
        "mean_baseline_nats": statistics.mean(run["baseline_nats"] for run in runs),
        "longest_seconds": max(run["seconds"] for run in runs),
        "runs": runs,
    }


if __name__ == "__main__":
    os.environ["TQDM_MININTERVAL"] = "5"
    tqdm.monitor_interval = 0
    main()
