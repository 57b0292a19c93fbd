"""Forgets predictions by age and by number, in small steps, so that the server goes on writing."""

from sqlalchemy import ColumnElement, Engine, and_, delete, or_, select

from closedloop.config import Params
from closedloop.prediction_log.clock import DAY
from closedloop.prediction_log.schema import LABELS, PREDICTIONS, REQUESTS, SHADOWS
from closedloop.prediction_log.store import in_turns, translated

LISTED = 50_000  # ids in memory
CHUNK = 500  # predictions of one transaction
BELONGING = (LABELS.c.prediction_id, SHADOWS.c.prediction_id, PREDICTIONS.c.id)


def prune(engine: Engine, params: Params, now: int) -> dict[str, int]:
    """Delete the task's old predictions with their labels and shadows; return the rows deleted by table.

    What is older than log.keep_days goes, and all but the log.max_rows newest (and what came at the same microsecond as
    the oldest of them). Labelled predictions that have not yet become training data stay for twice log.keep_days,
    whatever their number. SQLite's file keeps its size; the space is used again. Raises LogError.
    """
    task, horizon = params.task.name, int(params.log.keep_days * DAY)
    deleted = {table.name: 0 for table in (PREDICTIONS, LABELS, SHADOWS, REQUESTS)}
    with translated(str(engine.url)):
        victims = _victims(task, max(now - horizon, _newest(engine, task, params.log.max_rows)), now - 2 * horizon)
        while ids := _list(engine, victims):
            for chunk in in_turns(engine, ids, CHUNK):
                with engine.begin() as connection:
                    for key in BELONGING:
                        result = connection.execute(delete(key.table).where(key.in_(chunk)))
                        deleted[key.table.name] += result.rowcount
        with engine.begin() as connection:
            old = delete(REQUESTS).where(REQUESTS.c.task == task, REQUESTS.c.minute < now - horizon)
            deleted[REQUESTS.name] = connection.execute(old).rowcount
    return deleted


def _victims(task: str, keep_from: int, keep_waiting_from: int) -> ColumnElement[bool]:
    waiting = select(LABELS.c.prediction_id).where(
        LABELS.c.prediction_id == PREDICTIONS.c.id, LABELS.c.partition.is_(None)
    )
    old = and_(PREDICTIONS.c.time < keep_from, ~waiting.exists())
    return and_(PREDICTIONS.c.task == task, or_(old, PREDICTIONS.c.time < keep_waiting_from))


def _newest(engine: Engine, task: str, rows: int) -> int:
    """The time of the oldest of the newest rows; 0 when there are fewer."""
    times = select(PREDICTIONS.c.time).where(PREDICTIONS.c.task == task).order_by(PREDICTIONS.c.time.desc())
    with engine.connect() as connection:
        return connection.execute(times.offset(rows - 1).limit(1)).scalar() or 0


def _list(engine: Engine, victims: ColumnElement[bool]) -> list[str]:
    with engine.connect() as connection:
        ids = select(PREDICTIONS.c.id).where(victims).order_by(PREDICTIONS.c.time).limit(LISTED)
        return list(connection.execute(ids).scalars())
