"""Test errors of a task of numbers over seeds, as the pipeline trains: python benchmarks/regression.py TASK [SEEDS]

Each seed sets the initial weights, the shuffling and the splits. Writes docs/benchmarks/regression-<task>.json.
"""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from accuracy import answered, interval
from machine import describe_machine

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.evaluation.numbers import Numbers
from closedloop.evaluation.regression import headline
from closedloop.files import write_json
from closedloop.paths import Paths


def main() -> None:
    task, seeds = sys.argv[1], range(int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            params = parse(compose(task, [f"seed={seed}", f"preprocess.seed={seed}"]), "conf")
            runs.append(measure(params, Paths(task, Path(folder))))
            print(runs[-1], flush=True)
    gains = [run["baseline_figures"]["mae"] - run["figures"]["mae"] for run in runs]
    result = {
        "task": task,
        **{f"mean_{key}": _means(runs, key) for key in ("figures", "baseline_figures")},
        "mae_interval_95": interval([run["figures"]["mae"] for run in runs]),
        "gain_in_mae": statistics.mean(gains),
        "gain_interval_95": interval(gains),
        "longest_seconds": max(run["seconds"] for run in runs),
        "runs": runs,
        "machine": describe_machine(),
        "command": f"python benchmarks/regression.py {task} {len(runs)}",
    }
    write_json(Path("docs/benchmarks") / f"regression-{task}.json", result)
    print({key: value for key, value in result.items() if key not in ("runs", "machine")})


def measure(params: Params, paths: Paths) -> dict[str, Any]:
    """Train as the pipeline does and look at the test split once."""
    found, simple, facts = answered(params, paths)
    assert isinstance(found, Numbers) and isinstance(simple, Numbers)  # noqa: S101
    figures, baseline = (
        {name: one.value for name, one in headline(some, params.evaluation).items()} for some in (found, simple)
    )
    return {"seed": params.seed, "figures": figures, "baseline_figures": baseline, **facts}


def _means(runs: list[dict[str, Any]], key: str) -> dict[str, float]:
    return {name: statistics.mean(run[key][name] for run in runs) for name in runs[0][key]}


if __name__ == "__main__":
    main()
