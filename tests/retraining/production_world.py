"""A deployed model of the scanned digits whose traffic has shifted: a registry, a log with answers, raw data."""

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine, select, update

from closedloop.composition import write
from closedloop.config import load
from closedloop.data.examples import LABEL
from closedloop.data.partitions import Partition, read_list
from closedloop.files import write_json
from closedloop.paths import Paths
from closedloop.prediction_log import attempts, checks
from closedloop.prediction_log.attempts import Attempt
from closedloop.prediction_log.clock import now
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.labels import add_labels
from closedloop.prediction_log.schema import ATTEMPTS, LABELS
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import Answer, LogWriter
from closedloop.registry import aliases
from closedloop.registry.watch import alias_version
from closedloop.sources.acquire import acquire
from closedloop.targets import Classes, save_target
from closedloop.tasks import get_task
from registered_digits import CONF, Registry, digits

PARAMS = Path("params.yaml")
TARGET = Classes(tuple(str(code) for code in range(10)))


@dataclass
class World:
    """The current folder: version 1 is the champion, and nothing has been asked yet."""

    registry: Registry
    engine: Engine
    paths: Paths
    runs: list[list[str]] = field(default_factory=list)  # the partitions listed at each run of the pipeline

    @classmethod
    def make(cls, registry: Registry) -> "World":
        (registry.root / "conf").symlink_to(CONF)
        params = write(
            PARAMS, "digits", ["retraining.min_labels=40", "preprocess.feedback_test_share=0.8", "gate.min_recent=30"]
        )
        paths = Paths("digits")
        acquire(params, paths)
        get_task("images").fit(digits(0, 30), params).save(paths.preprocessor)
        save_target(TARGET, paths.preprocessor)
        aliases.promote(params, registry.add("weak"))
        return cls(registry, open_log(params), paths)

    def answer(
        self, count: int, start: int = 0, *, severity: int = 4, labelled: bool = True, sure: bool = False
    ) -> list[str]:
        """Ask about some digits, shifted in contrast (0: as they are), and send back their labels.

        The answers are all the same, and nothing that anybody would believe, or (`sure`) right and beyond doubt.
        """
        examples, task = digits(start, start + count), get_task("images")
        if severity:
            examples = task.shift(examples, "contrast", severity, np.random.default_rng(start))
        records = task.load_preprocessor(self.paths.preprocessor).encode(examples)
        ids = [new_id() for _ in records]
        said = labels_of(examples) if sure else ["3"] * count
        confidence, shares = (1.0, [1.0, *[0.0] * 9]) if sure else (0.5, [0.1] * 10)
        answers = [
            Answer(key, now(), "digits", 1, "champion", json.dumps(record).encode(), answer, confidence, shares, 1.0)
            for key, record, answer in zip(ids, records, said, strict=True)
        ]
        writer = LogWriter(self.engine)
        asyncio.run(writer.write(answers))
        writer.close()
        if labelled:
            self.label(ids, labels_of(examples))
        return ids

    def label(self, ids: list[str], labels: list[str]) -> None:
        assert add_labels(self.engine, "digits", list(zip(ids, labels, strict=True)), TARGET).invalid == []

    def check(self, verdict: str = "drift", version: int = 1) -> None:
        """A window that has just ended."""
        end = now()
        reasons = ["contrast moved"] if verdict == "drift" else []
        report: dict[str, Any] = {"drifted": verdict == "drift", "reasons": reasons, "columns": [], "accuracy": None}
        checks.record(self.engine, "digits", report, end - 1, end, version, 300, verdict, None)

    def drift(self) -> None:
        """Two windows in a row."""
        self.check()
        self.check()

    def pipeline(
        self, promote: bool = True, meanwhile: Callable[[], object] = lambda: None
    ) -> Callable[[Path, list[str]], None]:
        """Stands in for DVC: registers version 2 once, moves the alias or not, and leaves the receipt."""

        def reproduce(file: Path, stages: list[str]) -> None:
            assert (file, stages) == (PARAMS, ["register"])
            self.runs.append([entry.sha256 for entry in self.listed])
            if len(aliases.versions(self.registry.client, "digits")) < 2:
                self.registry.add("strong")
            if promote and self.champion != 2:
                aliases.move_champion(self.registry.client, "digits", 2, "a gain of +0.2")
            write_json(
                self.paths.report("registration.json"),
                {
                    "task": "digits",
                    "version": 2,
                    "champion": 2 if promote else self.champion,
                    "verdict": "promoted" if promote else "refused",
                    "reasons": ["a gain of +0.2" if promote else "a tie, which keeps the champion"],
                    "checks": [],
                    "comparison": None,
                    "recent": None,
                },
            )
            meanwhile()

        return reproduce

    @property
    def champion(self) -> int | None:
        return alias_version(load(PARAMS), "champion")

    @property
    def listed(self) -> list[Partition]:
        return read_list(self.paths.partitions)

    @property
    def attempts(self) -> list[Attempt]:
        return attempts.recent(self.engine, "digits", 100)

    @property
    def marks(self) -> list[str | None]:
        """What the log says became of each label."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(LABELS.c.partition)).scalars())

    def the_process_died(self) -> None:
        """As the log shows it after SIGKILL: the attempt under way belongs to a process that is gone."""
        with self.engine.begin() as connection:
            gone = f"{socket.gethostname()[:200]}:999999999:0"
            connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.outcome == "running").values(process=gone))


def labels_of(examples: pa.Table) -> list[str]:
    return [str(label) for label in examples.column(LABEL).to_pylist()]
