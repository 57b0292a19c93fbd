"""Descriptors of logged predictions, computed from their requests when somebody asks, not while answering."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import Engine, bindparam, select, update

from closedloop.errors import DataError
from closedloop.prediction_log.reading import within
from closedloop.prediction_log.schema import PREDICTIONS
from closedloop.prediction_log.store import in_turns, translated
from closedloop.tasks.base import Preprocessor, Task

CHUNK = 500  # rows of one transaction
UPDATE = update(PREDICTIONS).where(PREDICTIONS.c.id == bindparam("key")).values(descriptors=bindparam("described"))


class Described(NamedTuple):
    """How many rows have been described, and how many have a request that the preprocessor does not take."""

    rows: int
    refused: int


def describe(
    engine: Engine, task_name: str, window: tuple[int, int], preprocessor: Preprocessor, task: Task
) -> Described:
    """Fill in the descriptors of the predictions of [start, end) that lack them, where the request was kept.

    A request that cannot be decoded, as pseudonyms stand in it, keeps NULL. Raises LogError.
    """
    lacking = select(PREDICTIONS.c.id).where(
        *within(task_name, *window), PREDICTIONS.c.descriptors.is_(None), PREDICTIONS.c.request.is_not(None)
    )
    done = refused = 0
    with translated(str(engine.url)):
        with engine.connect() as connection:
            ids = connection.execute(lacking).scalars().all()
        for chunk in in_turns(engine, ids, CHUNK):
            requests = select(PREDICTIONS.c.id, PREDICTIONS.c.request).where(PREDICTIONS.c.id.in_(chunk))
            with engine.connect() as connection:
                found = [(row.id, row.request) for row in connection.execute(requests)]
            described = _describe([request for _, request in found], preprocessor, task)
            rows = [
                {"key": key, "described": text}
                for (key, _), text in zip(found, described, strict=True)
                if text is not None
            ]
            if rows:
                with engine.begin() as connection:
                    connection.execute(UPDATE, rows)
            done, refused = done + len(rows), refused + len(found) - len(rows)
    return Described(done, refused)


def _describe(requests: Sequence[bytes], preprocessor: Preprocessor, task: Task) -> list[str | None]:
    """A JSON object for each request; None for one that the preprocessor does not take."""
    try:
        frame = task.describe(preprocessor.decode([orjson.loads(request) for request in requests]))
    except (DataError, orjson.JSONDecodeError):
        if len(requests) == 1:
            return [None]
        middle = len(requests) // 2  # halves, until the bad ones stand alone
        halves = requests[:middle], requests[middle:]
        return [text for half in halves for text in _describe(half, preprocessor, task)]
    return [orjson.dumps(row).decode() for row in frame.to_dict(orient="records")]  # NaN becomes null
