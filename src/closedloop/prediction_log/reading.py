"""Windows of the log: what was asked and answered between two moments, with the labels known by now."""

from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
from sqlalchemy import ColumnElement, Engine, Select, func, select

from closedloop.config import Traffic
from closedloop.prediction_log import checks
from closedloop.prediction_log.clock import HOUR, MINUTE, SECOND, to_text
from closedloop.prediction_log.schema import LABELS, PREDICTIONS, REQUESTS
from closedloop.prediction_log.store import BUSY_SECONDS, translated

BATCH = 5000  # rows in memory as Python objects
# after this long, what was stamped before is committed: a writer waits so long for another one, and has failed then
SETTLED = int((BUSY_SECONDS + 1) * SECOND)

TYPES = {
    "id": pa.string(),
    "time": pa.int64(),  # microseconds since 1970
    "version": pa.int32(),
    "role": pa.string(),
    "request": pa.binary(),  # JSON of one example; null where inputs are left out
    "prediction": pa.string(),
    "confidence": pa.float64(),
    "probabilities": pa.list_(pa.float64()),  # in the order of the version's classes
    "latency_ms": pa.float64(),
    "descriptors": pa.string(),  # JSON object; null until described
    "label": pa.string(),  # null where none is known
    "label_time": pa.int64(),
    "revisions": pa.int32(),
}
WINDOW = [name for name in TYPES if name != "revisions"]
LABELLED = ["id", "time", "version", "role", "request", "prediction", "probabilities", "label", "revisions"]


SCHEMA = pa.schema([(name, TYPES[name]) for name in WINDOW])


def window(engine: Engine, task: str, start: int, end: int, version: int | None = None) -> pa.Table:
    """The predictions of [start, end) that were returned to somebody, ordered by time and id; of one version if given.

    Raises LogError.
    """
    return pa.Table.from_batches(batches(engine, task, start, end, version), SCHEMA)


def batches(engine: Engine, task: str, start: int, end: int, version: int | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of `window` in parts that fit into memory."""
    wanted = [*within(task, start, end)]
    if version is not None:
        wanted.append(PREDICTIONS.c.version == version)
    return _stream(engine, _joined(WINDOW, outer=True).where(*wanted), WINDOW)


def labelled(engine: Engine, task: str, unused_only: bool = True) -> pa.Table:
    """The predictions whose label is known, ordered by time and id; those that are in no partition yet, or all.

    Raises LogError.
    """
    statement = _joined(LABELLED, outer=False).where(LABELS.c.task == task)  # few predictions have a label
    if unused_only:
        statement = statement.where(LABELS.c.partition.is_(None))
    return pa.Table.from_batches(_stream(engine, statement, LABELLED), _schema(LABELLED))


def count(engine: Engine, task: str, start: int, end: int) -> int:
    """How many predictions there are in [start, end). Raises LogError."""
    return _one(engine, select(func.count()).select_from(PREDICTIONS).where(*within(task, start, end))) or 0


def last_version(engine: Engine, task: str, start: int, end: int) -> int | None:
    """The version that answered last in [start, end); None where nobody asked."""
    newest = select(PREDICTIONS.c.version).where(*within(task, start, end))
    return _one(engine, newest.order_by(PREDICTIONS.c.time.desc(), PREDICTIONS.c.id.desc()).limit(1))


def request_counts(engine: Engine, task: str, start: int, end: int) -> dict[int, int]:
    """Requests by HTTP status in the minutes that [start, end) touches; they are counted by the minute."""
    statement = (
        select(REQUESTS.c.status, func.sum(REQUESTS.c.count))
        .where(REQUESTS.c.task == task, REQUESTS.c.minute > start - MINUTE, REQUESTS.c.minute < end)
        .group_by(REQUESTS.c.status)
        .order_by(REQUESTS.c.status)
    )
    with translated(str(engine.url)), engine.connect() as connection:
        return {int(status): int(count) for status, count in connection.execute(statement)}


def next_bounds(engine: Engine, task: str, traffic: Traffic, now: int) -> tuple[int, int] | str:
    """The window [start, end) that is to be checked next, or why there is none yet.

    It begins where the last check ended, or with the first prediction, and takes all since then: as soon as there are
    traffic.window predictions, or with traffic.hours as many whole spans of so many hours as have passed. What is
    younger than SETTLED waits: its neighbours may still be on their way into the log.
    """
    start = checks.last_end(engine, task, now)
    if start is None:
        start = _one(engine, select(func.min(PREDICTIONS.c.time)).where(PREDICTIONS.c.task == task))
    if start is None:
        return f"the log holds no predictions of {task}: start `make serve` and ask it something"
    end, needed = max(now - SETTLED, start), traffic.window
    if traffic.hours:
        span, needed = int(traffic.hours * HOUR), 1
        end = start + (end - start) // span * span
        if end == start:
            due = to_text(start + span + SETTLED)
            return f"traffic.hours asks for windows of {traffic.hours:g} hours: the next one is complete at {due}"
    found = count(engine, task, start, end)
    if found < needed:
        return (
            f"{found} unchecked predictions of {task} between {to_text(start)} and {to_text(end)}, "
            f"{needed} are needed" + ("" if traffic.hours else " (traffic.window)")
        )
    return start, end


def within(task: str, start: int, end: int) -> tuple[ColumnElement[bool], ...]:
    """The conditions of a window [start, end)."""
    return PREDICTIONS.c.task == task, PREDICTIONS.c.time >= start, PREDICTIONS.c.time < end


def _joined(names: list[str], *, outer: bool) -> Select[Any]:
    origin = {"label": LABELS.c.label, "label_time": LABELS.c.time, "revisions": LABELS.c.revisions}
    columns = [origin[name].label(name) if name in origin else PREDICTIONS.c[name] for name in names]
    joined = PREDICTIONS.join(LABELS, LABELS.c.prediction_id == PREDICTIONS.c.id, isouter=outer)
    return select(*columns).select_from(joined).order_by(PREDICTIONS.c.time, PREDICTIONS.c.id)


def _schema(names: list[str]) -> pa.Schema:
    return pa.schema([(name, TYPES[name]) for name in names])


def _stream(engine: Engine, statement: Select[Any], names: list[str]) -> Iterator[pa.RecordBatch]:
    with translated(str(engine.url)), engine.connect() as connection:
        result = connection.execution_options(yield_per=BATCH).execute(statement)
        for rows in result.partitions():
            columns = dict(zip(names, zip(*rows, strict=True), strict=True))
            columns["probabilities"] = tuple(orjson.loads(listed) for listed in columns["probabilities"])
            yield pa.record_batch([pa.array(columns[name], TYPES[name]) for name in names], schema=_schema(names))


def _one(engine: Engine, statement: Select[Any]) -> int | None:
    with translated(str(engine.url)), engine.connect() as connection:
        value = connection.execute(statement).scalar()
    return None if value is None else int(value)
