"""Trainings that follow a script instead of learning anything, and the record of what was said about them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from closedloop.config import Params
from closedloop.tuning.worker import Epoch, Outcome, Work

Script = Callable[[Work], list[float] | Outcome | None]


@dataclass
class ScriptedPool:
    """One process; the script gives a training's losses by epoch, how it ended instead, or None: its process died.

    `killed_at` (training, epoch) interrupts everything there.
    """

    script: Script
    killed_at: tuple[int, int] = (-1, -1)
    begun: list[Work] = field(default_factory=list)

    def run(self, works: Iterable[Work], on_epoch: Any, on_end: Any, tick: Any) -> None:
        for work in works:
            again: Work | None = work
            while again is not None:
                self.begun.append(again)
                again = on_end(again, self._train(again, on_epoch))
                tick()

    def _train(self, work: Work, on_epoch: Any) -> Outcome | None:
        said = self.script(work)
        if not isinstance(said, list):
            return said
        for epoch, loss in enumerate(said, start=1):
            go_on = on_epoch(work, Epoch(epoch, {"val/loss": loss, "val/accuracy": 1 / (1 + loss)}))
            if (len(self.begun) - 1, epoch) == self.killed_at:
                raise KeyboardInterrupt
            if not go_on:
                return Outcome("pruned", epochs=epoch)
        best = min(said)
        metrics = {"epoch": said.index(best) + 1, "val/loss": best, "val/accuracy": 1 / (1 + best)}
        return Outcome("complete", metrics, len(said), 1.0)


@dataclass
class Ledger:
    """Stands in for the runs in MLflow."""

    ended: dict[str, tuple[str, str]] = field(default_factory=dict)

    def training(self, stage: str, name: str, params: Params, run_id: str | None, tags: Any) -> Any:  # noqa: ARG002
        return Entry(run_id or name)

    def end(self, run: Any, outcome: str, reason: str = "") -> None:
        self.ended[run.id] = (outcome, reason)


@dataclass
class Entry:
    id: str

    def log(self, metrics: dict[str, float], step: int) -> None: ...

    def log_best(self, best: dict[str, float], epochs: int, seconds: float) -> None: ...
