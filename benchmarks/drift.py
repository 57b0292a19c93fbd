"""False alarms and detections of the drift verdict: python benchmarks/drift.py [digits] [mnist]

For several seeds of the split, the data are split, a model is trained and deployed as the pipeline does it, and windows
of production examples are judged by the stage's own code: as they are (every alarm is false) and shifted on purpose.
Windows of one split share a reference and a pool of examples, so they are not independent, and one split alone says
little; the intervals below treat all windows as independent and are somewhat too narrow. The p-values come from SciPy
directly, which a test holds equal to Evidently's. Writes docs/benchmarks/drift-<task>.json.
"""

import os
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import describe_machine
from tqdm import tqdm

from closedloop.composition import compose
from closedloop.config import Params, Traffic, parse
from closedloop.data.examples import read_examples
from closedloop.evaluation.intervals import wilson
from closedloop.files import write_json
from closedloop.learning import training
from closedloop.learning.record import Nowhere
from closedloop.monitoring.drift import comparable, judge
from closedloop.monitoring.performance import accuracy_from_confidence
from closedloop.monitoring.quality import correctness
from closedloop.monitoring.traffic import observe
from closedloop.monitoring.two_sample import p_value
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.serving.predictor import Predictor
from closedloop.sources.acquire import acquire

SCENARIOS = ("noise", "blur", "contrast", "rotation", "occlusion", "imbalance")
WINDOW, SEVERITY = 300, 3


@dataclass(frozen=True)
class Plan:
    """How much is measured for a task."""

    overrides: tuple[str, ...]  # of the training: a model need not be the best to be watched
    splits: int
    clean: int  # windows for each split
    shifted: int  # windows for each split and scenario at SEVERITY
    other_severities: int  # windows for each scenario and severity, first split only
    large: int  # clean windows of LARGE examples for each split
    large_rows: int


PLANS = {
    "digits": Plan((), splits=10, clean=200, shifted=20, other_severities=20, large=0, large_rows=0),
    "mnist": Plan(
        ("trainer.max_epochs=3",), splits=3, clean=200, shifted=70, other_severities=20, large=50, large_rows=3000
    ),
}


@dataclass(frozen=True)
class Deployment:
    """A model trained on one split, what it is judged against, and the pool that its traffic is drawn from."""

    params: Params
    predictor: Predictor
    reference: pd.DataFrame
    pool: Any

    def window(self, rows: int, scenario: str, severity: int, seed: int) -> dict[str, Any]:
        config = Traffic(window=rows, seed=seed, scenario=scenario, severity=severity)
        window = observe(self.predictor, 1, self.pool, self.params, config)
        kinds = comparable(self.reference, window)
        tests = {name: p_value(kind, self.reference[name], window[name]) for name, kind in kinds.items()}
        report = judge(self.reference, window, tests, None, self.params.monitor)
        return {
            "alarm": report["verdict"] == "drift",
            "columns": [column["name"] for column in report["columns"] if column["drifted"]],
            "accuracy": float(correctness(window).mean()),
            "estimate": accuracy_from_confidence(self.reference, window),
        }


def deploy(task: str, plan: Plan, seed: int, folder: Path) -> Deployment:
    params = parse(compose(task, [f"preprocess.seed={seed}", *plan.overrides]), "conf")
    paths = Paths(task, folder / str(seed))
    acquire(params, paths)
    preprocess(params, paths)
    training.save_session(training.open_session(params, paths), paths)
    training.save(training.fit(params, paths, Nowhere()), paths)
    predictor = Predictor.load(paths.model / "model.onnx", paths.preprocessor)
    reference = observe(predictor, 1, read_examples(paths.examples("test")), params)
    return Deployment(params, predictor, reference, read_examples(paths.examples("production")))


def measure(task: str) -> dict[str, Any]:
    plan, started = PLANS[task], time.monotonic()
    found: dict[tuple[str, int, int], list[dict[str, Any]]] = defaultdict(list)  # by scenario, severity, rows
    models, false_by_split = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(plan.splits):
            deployment = deploy(task, plan, seed, Path(folder))
            models.append(float(correctness(deployment.reference).mean()))
            jobs = [("none", 0, WINDOW)] * plan.clean + [("none", 0, plan.large_rows)] * plan.large
            jobs += [(scenario, SEVERITY, WINDOW) for scenario in SCENARIOS for _ in range(plan.shifted)]
            if seed == 0:
                others = [severity for severity in range(1, 6) if severity != SEVERITY]
                jobs += [
                    (s, severity, WINDOW)
                    for s in SCENARIOS
                    for severity in others
                    for _ in range(plan.other_severities)
                ]
            drawn: dict[tuple[str, int, int], int] = defaultdict(int)
            for job in tqdm(jobs, desc=f"{task}, split {seed}", unit="window"):
                scenario, severity, rows = job
                found[job].append(deployment.window(rows, scenario, max(severity, 1), drawn[job]))
                drawn[job] += 1
            false_by_split.append(float(np.mean([w["alarm"] for w in found["none", 0, WINDOW][-plan.clean :]])))
            print(f"{task}, split {seed}: accuracy {models[-1]:.4f}, false alarms {false_by_split[-1]:.3f}", flush=True)
    rows = [
        {"scenario": scenario, "severity": severity, "rows": size, **_summary(windows)}
        for (scenario, severity, size), windows in sorted(found.items(), key=lambda item: (item[0][2], item[0][:2]))
    ]
    return {
        "task": task,
        "monitor": deployment.params.monitor.model_dump(),
        "columns_tested": len(comparable(deployment.reference, deployment.reference)),
        "reference_rows": len(deployment.reference),
        "pool_rows": deployment.pool.num_rows,
        "splits": [
            {"seed": seed, "test_accuracy": accuracy, "false_alarms": share}
            for seed, (accuracy, share) in enumerate(zip(models, false_by_split, strict=True))
        ],
        "overrides": plan.overrides,
        "results": rows,
        "seconds": round(time.monotonic() - started),
        "machine": describe_machine(),
        "command": f"python benchmarks/drift.py {task}",
    }


def _summary(windows: list[dict[str, Any]]) -> dict[str, Any]:
    alarms = sum(window["alarm"] for window in windows)
    low, high = wilson(alarms, len(windows), 0.95)
    accuracy, estimate = (np.array([window[key] for window in windows]) for key in ("accuracy", "estimate"))
    names = sorted({name for window in windows for name in window["columns"]})
    by_column = {name: sum(name in window["columns"] for window in windows) / len(windows) for name in names}
    return {
        "windows": len(windows),
        "alarms": alarms / len(windows),
        "alarms_low": float(low),
        "alarms_high": float(high),
        "alarms_without_labels": sum(bool(window["columns"]) for window in windows) / len(windows),
        "accuracy": float(accuracy.mean()),
        "estimated_accuracy": float(estimate.mean()),
        "estimate_bias": float((estimate - accuracy).mean()),
        "estimate_mean_absolute_error": float(np.abs(estimate - accuracy).mean()),
        "alarms_by_column": dict(sorted(by_column.items(), key=lambda item: -item[1])),
    }


def table(result: dict[str, Any]) -> str:
    head = f"{'scenario':11}{'severity':>9}{'rows':>7}{'windows':>9}{'alarms':>9}{'95% interval':>17}"
    lines = [f"{head}{'accuracy':>10}{'estimate':>10}  columns that alarm most"]
    for row in result["results"]:
        interval = f"{row['alarms_low']:.3f} to {row['alarms_high']:.3f}"
        top = ", ".join(f"{name} {share:.2f}" for name, share in list(row["alarms_by_column"].items())[:3])
        lines.append(
            f"{row['scenario']:11}{row['severity'] or '':>9}{row['rows']:7,}{row['windows']:9,}{row['alarms']:9.3f}"
            f"{interval:>17}{row['accuracy']:10.3f}{row['estimated_accuracy']:10.3f}  {top}"
        )
    return "\n".join(lines)


def main() -> None:
    tasks = sys.argv[1:] or list(PLANS)
    if unknown := [task for task in tasks if task not in PLANS]:
        sys.exit(f"no plan for {', '.join(unknown)}; there is one for {', '.join(PLANS)}")
    for task in tasks:
        result = measure(task)
        write_json(Path("docs/benchmarks") / f"drift-{task}.json", result)
        print(f"\n{task}: {result['seconds']} s\n{table(result)}\n", flush=True)


if __name__ == "__main__":
    os.environ["TQDM_MININTERVAL"] = "5"
    tqdm.monitor_interval = 0
    main()
