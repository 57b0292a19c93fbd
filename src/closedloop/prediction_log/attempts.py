"""Attempts to retrain: one record each, and only one attempt of a task at a time."""

import json
import os
import socket
from dataclasses import dataclass
from typing import Any

import psutil
from sqlalchemy import Engine, insert, select, text, update

from closedloop.errors import ClosedLoopError, LogError
from closedloop.prediction_log.clock import HOUR, now, to_text
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.schema import ATTEMPTS
from closedloop.prediction_log.store import translated, writing

RUNNING, INTERRUPTED = "running", "interrupted"
BELIEVED = 12 * HOUR  # so long an attempt on another machine is taken to be alive
JSON_COLUMNS = ("reasons", "data", "verdict")
SAME_START = 2  # seconds by which two readings of a process's start may differ


@dataclass(frozen=True)
class Attempt:
    """One attempt to retrain; times in microseconds since 1970."""

    id: str
    task: str
    started: int
    ended: int | None
    process: str  # host:pid:start
    trigger: str
    reasons: list[str]
    partition: str | None
    data: dict[str, Any] | None
    champion_before: int | None
    challenger: int | None
    champion_after: int | None
    outcome: str  # running, interrupted, promoted, refused, failed, unchanged
    verdict: Any

    @property
    def decided_by(self) -> str:
        """The error, or the gate's first reason; empty while nothing is decided."""
        verdict = self.verdict or {}
        return str(verdict.get("error") or next(iter(verdict.get("reasons", [])), ""))


def begin(engine: Engine, task: str, trigger: str, reasons: list[str], champion: int | None) -> str:
    """Record that an attempt begins; return its id.

    Raises ClosedLoopError when another attempt of the task is under way, LogError when the log fails.
    """
    moment = now()
    row = {
        "id": new_id(),
        "task": task,
        "started": moment,
        "process": _this_process(),
        "trigger": trigger,
        "reasons": json.dumps(reasons, ensure_ascii=False),
        "champion_before": champion,
        "outcome": RUNNING,
    }
    with translated(str(engine.url)), writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE attempts IN EXCLUSIVE MODE"))  # nobody begins between look and insert
        unfinished = select(ATTEMPTS).where(ATTEMPTS.c.task == task, ATTEMPTS.c.outcome == RUNNING)
        for other in connection.execute(unfinished).mappings().all():
            if _is_alive(other["process"], other["started"], moment):
                raise ClosedLoopError(
                    f"another attempt to retrain {task} is under way since {to_text(other['started'])} "
                    f"(process {other['process']}): wait for it, or end it, and run again"
                )
            dead = update(ATTEMPTS).where(ATTEMPTS.c.id == other["id"])
            connection.execute(dead.values(outcome=INTERRUPTED))
        connection.execute(insert(ATTEMPTS), row)
    return str(row["id"])


def note(engine: Engine, attempt: str, **columns: Any) -> None:
    """Record what has become known of an attempt that goes on; data and verdict are given as they are.

    Raises LogError when there is no such attempt, or the log fails.
    """
    values = {
        name: json.dumps(value, ensure_ascii=False) if name in JSON_COLUMNS and value is not None else value
        for name, value in columns.items()
    }
    with translated(str(engine.url)), engine.begin() as connection:
        found = connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.id == attempt).values(**values)).rowcount
    if not found:
        raise LogError(f"the prediction log holds no attempt {attempt}: was the log replaced meanwhile?")


def finish(engine: Engine, attempt: str, outcome: str, **columns: Any) -> None:
    """Record how an attempt ended, with any other columns of the table, as `note` does."""
    note(engine, attempt, outcome=outcome, ended=now(), **columns)


def recent(engine: Engine, task: str, limit: int) -> list[Attempt]:
    """The latest attempts, the latest last; one whose process is gone is shown as interrupted. Raises LogError."""
    statement = select(ATTEMPTS).where(ATTEMPTS.c.task == task)
    statement = statement.order_by(ATTEMPTS.c.started.desc(), ATTEMPTS.c.id.desc()).limit(limit)
    with translated(str(engine.url)), engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(statement).mappings()]
    moment = now()
    for row in rows:
        row.update({name: json.loads(row[name]) for name in JSON_COLUMNS if row[name] is not None})
        if row["outcome"] == RUNNING and not _is_alive(row["process"], row["started"], moment):
            row["outcome"] = INTERRUPTED
    return [Attempt(**row) for row in reversed(rows)]


def _this_process() -> str:
    return f"{socket.gethostname()[:200]}:{os.getpid()}:{psutil.Process().create_time():.0f}"


def _is_alive(process: str, started: int, moment: int) -> bool:
    """Whether the process that began an attempt still runs: by its start too, as numbers of processes come again."""
    host, pid, start = process.rsplit(":", 2)
    if host != socket.gethostname()[:200]:
        return moment - started < BELIEVED
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(start)) <= SAME_START
    except psutil.NoSuchProcess:
        return False
