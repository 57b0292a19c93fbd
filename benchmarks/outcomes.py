"""What comes of models that make something or act, as the pipeline trains them:
python benchmarks/outcomes.py TASK [SEEDS [VARIANT ...]]

Each seed sets the initial weights and the chance in training; that of episodes sets all splits, too. A generator is
judged by the classifier that its task names, as registered in this checkout: its splits stay those of that classifier,
which would have learnt some of the test images of others. Writes docs/benchmarks/outcomes-TASK.json after each seed;
with variants named, what it says of the others stays.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from accuracy import answered
from machine import describe_machine
from tqdm import tqdm

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.evaluation.baseline import headline_of
from closedloop.evaluation.outcomes import Outcomes
from closedloop.files import read_json, write_json
from closedloop.paths import Paths

VARIANTS = {"cartpole": ("reinforce", "actor_critic", "dqn")}  # models; others are measured as configured


def main() -> None:
    task = sys.argv[1]
    seeds = range(int(sys.argv[2]) if len(sys.argv) > 2 else 3)
    path, chosen = Path("docs/benchmarks") / f"outcomes-{task}.json", sys.argv[3:]
    result: dict[str, Any] = read_json(path) if chosen and path.is_file() else {"task": task}
    for variant in chosen or VARIANTS.get(task, ("as configured",)):
        overrides = [f"model={variant}"] if task in VARIANTS else []
        runs = []
        for seed in seeds:
            splits = [f"preprocess.seed={seed}"] if task in VARIANTS else []
            params = parse(compose(task, [*overrides, f"seed={seed}", *splits]), "conf")
            with tempfile.TemporaryDirectory() as folder:
                runs.append(measure(params, Paths(task, Path(folder))))
            print(variant, runs[-1], flush=True)
            result[variant] = summary(runs)
            command = f"python benchmarks/outcomes.py {task} {len(runs)}"
            write_json(path, result | {"machine": describe_machine(), "command": command})


def measure(params: Params, paths: Paths) -> dict[str, Any]:
    """Train as the pipeline does and look at the test split once."""
    found, simple, facts = answered(params, paths)
    assert isinstance(found, Outcomes)  # noqa: S101
    headlines = {name: headline_of(one, params.evaluation) for name, one in (("model", found), ("simple", simple))}
    values = {name: {metric: one.value for metric, one in told.items()} for name, told in headlines.items()}
    return {"seed": params.seed, "metrics": values["model"], "baseline_metrics": values["simple"], **facts}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **{f"mean_{metric}": _mean(runs, "metrics", metric) for metric in runs[0]["metrics"]},
        **{f"mean_baseline_{metric}": _mean(runs, "baseline_metrics", metric) for metric in runs[0]["metrics"]},
        # no interval of a mean: by Student's t it would go beyond what is possible, as 500 steps or a share of 1
        **{f"lowest_{metric}": min(run["metrics"][metric] for run in runs) for metric in runs[0]["metrics"]},
        **{f"highest_{metric}": max(run["metrics"][metric] for run in runs) for metric in runs[0]["metrics"]},
        "longest_seconds": max(run["seconds"] for run in runs),
        "runs": runs,
    }


def _mean(runs: list[dict[str, Any]], group: str, metric: str) -> float:
    return statistics.mean(run[group][metric] for run in runs)


if __name__ == "__main__":
    os.environ["TQDM_MININTERVAL"] = "5"
    tqdm.monitor_interval = 0
    main()
