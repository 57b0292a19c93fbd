"""What the drill saw, phase by phase: printed as it goes, and kept as JSON."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from closedloop.errors import ClosedLoopError
from closedloop.evaluation.answers import Answers, metrics_of
from closedloop.evaluation.intervals import normal_quantile, wilson
from closedloop.evaluation.predictions import Predictions

CONFIDENCE = 0.95


@dataclass
class Phase:
    """One step of the drill; `passed` says whether what was seen is what was expected."""

    name: str
    expected: str
    seen: str = ""
    passed: bool = False
    seconds: float = 0.0
    version: int | None = None
    verdict: str | None = None  # of the monitor, or of the gate
    window: dict[str, Any] | None = None
    score: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def score(found: Answers) -> dict[str, Any]:
    """The accuracy with Wilson's score interval; of anything else the mean of what is lost with the normal one."""
    asked = len(found.ids)
    if not isinstance(found, Predictions):
        metric = metrics_of(found)[0]
        errors = found.losses(metric)
        reach = normal_quantile(CONFIDENCE) * float(errors.std()) / asked**0.5
        value = float(errors.mean())
        return {"metric": metric, "value": value, "low": value - reach, "high": value + reach, "examples": asked}
    correct = int(found.correct.sum())
    low, high = wilson(correct, asked, CONFIDENCE)
    return {
        "metric": "accuracy",
        "value": correct / asked,
        "low": float(low),
        "high": float(high),
        "examples": asked,
    }


class Report:
    """Collects the phases and prints a line for each as it ends."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        print(f"{'phase':34}{'version':>8}  {'score (95% interval)':26}{'seconds':>8}  seen")

    @contextmanager
    def phase(self, name: str, expected: str) -> Iterator[Phase]:
        """Time a phase; one that raises is recorded as failed, with the error's first line."""
        phase, started = Phase(name, expected), time.monotonic()
        self.phases.append(phase)
        print(f"{name:34}", end="", flush=True)
        try:
            yield phase
        except ClosedLoopError as error:
            phase.seen = str(error).splitlines()[0]
            raise
        finally:
            phase.seconds = round(time.monotonic() - started, 1)
            print(_line(phase), flush=True)

    @property
    def passed(self) -> bool:
        return all(phase.passed for phase in self.phases)

    def to_json(self) -> list[dict[str, Any]]:
        return [_named(asdict(phase)) for phase in self.phases]


def _named(phase: dict[str, Any]) -> dict[str, Any]:
    """The score of a phase under the name of its metric."""
    score = phase.pop("score")
    return {**phase, score["metric"] if score else "accuracy": score}


def _line(phase: Phase) -> str:
    found = phase.score
    score = f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})" if found else ""
    wrong = "" if phase.passed else f"   FAILED: expected {phase.expected}"
    return f"{phase.version or '':>8}  {score:26}{phase.seconds:>8.1f}  {phase.seen}{wrong}"
