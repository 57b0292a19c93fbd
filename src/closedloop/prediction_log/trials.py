"""What a challenger has answered on live traffic and what the champion has, where the true label is known by now."""

from typing import Any, NamedTuple

import orjson
from sqlalchemy import Engine, Select, func, or_, select

from closedloop.prediction_log.schema import CANARY, CHAMPION, FALLBACK, LABELS, PREDICTIONS, QUARANTINED, SHADOWS
from closedloop.prediction_log.store import translated

LATEST = 20_000  # labelled answers of the challenger: more would hardly narrow an interval
PER_CANARY = 20  # so many of the champion's at most for each of a canary's, as they would say nothing more


class Answered(NamedTuple):
    """N labelled answers of one version."""

    ids: list[str]
    labels: list[str]
    probabilities: list[list[float]]  # (N, classes), in the order of the version's classes


class Trial(NamedTuple):
    """Two versions on live traffic: in shadow on the same requests in the same order, as a canary on different ones."""

    challenger: Answered
    champion: Answered


def shadowed(engine: Engine, task: str, challenger: int, champion: int) -> Trial:
    """The latest labelled answers of a champion that a challenger has answered in its shadow.

    Raises LogError.
    """
    columns = (PREDICTIONS.c.id, LABELS.c.label, SHADOWS.c.probabilities, PREDICTIONS.c.probabilities)
    found = _rows(
        engine,
        _labelled(task, champion, CHAMPION, columns)
        .join(SHADOWS, SHADOWS.c.prediction_id == PREDICTIONS.c.id)
        .where(SHADOWS.c.version == challenger)
        .limit(LATEST),
    )
    return Trial(_answered(found, 2), _answered(found, 3))


def canaried(engine: Engine, task: str, challenger: int, champion: int) -> Trial:
    """The latest labelled answers of a challenger to its share of the traffic, and the champion's of the same time.

    Raises LogError.
    """
    columns = (PREDICTIONS.c.id, LABELS.c.label, PREDICTIONS.c.probabilities)
    theirs = _rows(engine, _labelled(task, challenger, CANARY, columns).limit(LATEST))
    if not theirs:
        return Trial(_answered([], 2), _answered([], 2))
    newest, oldest = theirs[0][0], theirs[-1][0]  # ids sort by time
    meanwhile = LABELS.c.prediction_id.between(oldest, newest)
    limit = len(theirs) * PER_CANARY
    ours = _rows(engine, _labelled(task, champion, CHAMPION, columns).where(meanwhile).limit(limit))
    return Trial(_answered(theirs, 2), _answered(ours, 2))


def fallbacks(engine: Engine, task: str, champion: int, since: str) -> int:
    """How often the champion has answered in the place of a canary that could not, from an id on.

    Raises LogError.
    """
    of_them = (PREDICTIONS.c.task == task, PREDICTIONS.c.version == champion, PREDICTIONS.c.role == FALLBACK)
    found = _rows(engine, select(func.count()).where(*of_them, PREDICTIONS.c.id >= since))
    return int(found[0][0])


def latencies(engine: Engine, task: str, version: int, since: str) -> list[float]:
    """How long a canary has taken for each of its latest answers, in ms, labelled or not, from an id on.

    Raises LogError.
    """
    of_it = (PREDICTIONS.c.task == task, PREDICTIONS.c.version == version, PREDICTIONS.c.role == CANARY)
    found = select(PREDICTIONS.c.latency_ms).where(*of_it, PREDICTIONS.c.id >= since)
    return [row[0] for row in _rows(engine, found.order_by(PREDICTIONS.c.id.desc()).limit(LATEST))]


def _labelled(task: str, version: int, role: str, columns: tuple[Any, ...]) -> Select[Any]:
    """The latest first; found by their labels, which are few, and have the task of their predictions."""
    return (
        select(*columns)
        .select_from(LABELS)
        .join(PREDICTIONS, LABELS.c.prediction_id == PREDICTIONS.c.id)
        .where(LABELS.c.task == task, PREDICTIONS.c.version == version, PREDICTIONS.c.role == role)
        .where(or_(LABELS.c.partition.is_(None), LABELS.c.partition != QUARANTINED))
        .order_by(LABELS.c.prediction_id.desc())
    )


def _rows(engine: Engine, statement: Select[Any]) -> list[Any]:
    with translated(str(engine.url)), engine.connect() as connection:
        return list(connection.execute(statement))


def _answered(rows: list[Any], column: int) -> Answered:
    return Answered([row[0] for row in rows], [row[1] for row in rows], [orjson.loads(row[column]) for row in rows])
