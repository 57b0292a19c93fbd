"""The windows that were judged, with their reports."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from closedloop.prediction_log.clock import now
from closedloop.prediction_log.schema import CHECKS
from closedloop.prediction_log.store import translated, upsert


@dataclass(frozen=True)
class Check:
    """One window [start, end) with its verdict; times in microseconds since 1970."""

    task: str
    start: int
    end: int
    version: int
    time: int  # when it was judged
    rows: int
    verdict: str  # clean, drift, too_few_rows
    report: dict[str, Any]  # drift.json
    alert: str | None  # what became of the webhook; None where none was due


def record(  # noqa: PLR0917  a row of the table
    engine: Engine,
    task: str,
    report: dict[str, Any],
    start: int,
    end: int,
    version: int,
    rows: int,
    verdict: str,
    alert: str | None,
) -> None:
    """Keep the verdict on a window; the same window judged again replaces it. Raises LogError."""
    row = {
        "task": task,
        "start": start,
        "end": end,
        "version": version,
        "time": now(),
        "rows": rows,
        "verdict": verdict,
        "report": json.dumps(report, ensure_ascii=False, allow_nan=False),
        "alert": alert,
    }
    with translated(str(engine.url)), engine.begin() as connection:
        connection.execute(upsert(engine, CHECKS), row)


def recent(engine: Engine, task: str, limit: int) -> list[Check]:
    """The latest windows, the latest last. Raises LogError."""
    statement = (
        select(CHECKS)
        .where(CHECKS.c.task == task)
        .order_by(CHECKS.c.end.desc(), CHECKS.c.start.desc(), CHECKS.c.time.desc())
        .limit(limit)
    )
    with translated(str(engine.url)), engine.connect() as connection:
        rows = connection.execute(statement).mappings().all()
    return [Check(**{**row, "report": json.loads(row["report"])}) for row in reversed(rows)]


def last_end(engine: Engine, task: str, until: int) -> int | None:
    """Where the last window ended that was over by then; None before the first one. Raises LogError."""
    latest = select(func.max(CHECKS.c.end)).where(CHECKS.c.task == task, CHECKS.c.end <= until)
    with translated(str(engine.url)), engine.connect() as connection:
        end = connection.execute(latest).scalar()
    return None if end is None else int(end)
