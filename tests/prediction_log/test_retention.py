import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logged import TARGET, TASK, answer, put
from sqlalchemy import Engine, delete, func, insert, select, update

from closedloop.config import Params
from closedloop.prediction_log import retention
from closedloop.prediction_log.clock import DAY
from closedloop.prediction_log.labels import add_labels
from closedloop.prediction_log.retention import prune
from closedloop.prediction_log.schema import LABELS, METADATA, PREDICTIONS, REQUESTS, SHADOWS
from closedloop.prediction_log.writer import LogWriter, ShadowAnswer

NOW = 1_795_428_000_000_000
KEEP = 10  # days


@pytest.fixture
def keeping(params: Params) -> Callable[..., Params]:
    def make(**changed: Any) -> Params:
        return params.model_copy(update={"log": params.log.model_copy(update={"keep_days": KEEP, **changed})})

    return make


def ids_left(log: Engine) -> set[str]:
    with log.connect() as connection:
        return set(connection.execute(select(PREDICTIONS.c.id)).scalars())


def put_at(log: Engine, *days: float) -> list[str]:
    """Predictions of so many days ago."""
    return put(log, [answer(time=NOW - int(age * DAY)) for age in days])


def test_by_age(log: Engine, keeping: Callable[..., Params]) -> None:
    ids = put_at(log, 11, 9, 10, 10.001, 0)
    assert prune(log, keeping(), NOW) == {"predictions": 2, "labels": 0, "shadows": 0, "requests": 0}
    assert ids_left(log) == {ids[1], ids[2], ids[4]}


def test_by_number(log: Engine, keeping: Callable[..., Params], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LISTED", 7)
    monkeypatch.setattr(retention, "CHUNK", 3)
    ids = put_at(log, *range(9, 0, -1))
    others = put(log, [answer(task="another", time=0)])
    assert prune(log, keeping(max_rows=4), NOW)["predictions"] == 5
    assert ids_left(log) == {*ids[-4:], *others}


def test_labelled_ones_wait_until_they_are_training_data(log: Engine, keeping: Callable[..., Params]) -> None:
    ids = put_at(log, 21, 19, 19, 19, 1)
    add_labels(log, TASK, [(key, "3") for key in ids[:3]], TARGET)
    with log.begin() as connection:
        connection.execute(update(LABELS).where(LABELS.c.prediction_id == ids[2]).values(partition="a" * 64))
    deleted = prune(log, keeping(), NOW)
    assert ids_left(log) == {ids[1], ids[4]}  # too old even so: 0; used: 2; without a label: 3
    assert (deleted["predictions"], deleted["labels"]) == (3, 2)
    prune(log, keeping(max_rows=1), NOW)
    assert ids_left(log) == {ids[1], ids[4]}


def test_what_belongs_to_a_prediction_goes_with_it(log: Engine, keeping: Callable[..., Params]) -> None:
    old, young = put_at(log, 30, 1)
    add_labels(log, TASK, [(old, "3"), (young, "3")], TARGET)
    writer = LogWriter(log)
    for key in (old, young):
        assert writer.submit_shadow(ShadowAnswer(key, 2, "3", 0.5, [0.5], 1.0))
        assert writer.submit_shadow(ShadowAnswer(key, 3, "3", 0.5, [0.5], 1.0))
    writer.close()
    with log.begin() as connection:
        for task, age in ((TASK, 11), (TASK, 9), ("another", 11)):
            row = {"task": task, "minute": NOW - age * DAY, "worker": "a:1", "status": 200, "count": 1}
            connection.execute(insert(REQUESTS).values(row))
    assert prune(log, keeping(), NOW) == {"predictions": 1, "labels": 1, "shadows": 2, "requests": 1}
    with log.connect() as connection:
        assert set(connection.execute(select(SHADOWS.c.prediction_id)).scalars()) == {young}
        assert connection.execute(select(func.count()).select_from(REQUESTS)).scalar() == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["", "waiting", "used"])), max_size=20),
    st.integers(1, 12),
)
def test_what_is_kept(log: Engine, keeping: Callable[..., Params], rows: list[tuple[int, str]], max_rows: int) -> None:
    with log.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(delete(table))
    ids = put_at(log, *[age for age, _ in rows])
    known = [(key, state) for key, (_, state) in zip(ids, rows, strict=True) if state]
    add_labels(log, TASK, [(key, "3") for key, _ in known], TARGET)
    with log.begin() as connection:
        for key, state in known:
            if state == "used":
                connection.execute(update(LABELS).where(LABELS.c.prediction_id == key).values(partition="a" * 64))
    prune(log, keeping(max_rows=max_rows), NOW)
    ages = sorted(age for age, _ in rows)
    oldest_of_newest = ages[max_rows - 1] if len(ages) >= max_rows else max([*ages, 0])
    expected = {
        key
        for key, (age, state) in zip(ids, rows, strict=True)
        if age <= min(KEEP, oldest_of_newest) or (state == "waiting" and age <= 2 * KEEP)
    }
    assert ids_left(log) == expected


def test_the_server_writes_on_while_much_is_deleted(log: Engine, keeping: Callable[..., Params]) -> None:
    put_at(log, *[11 + n / 1e6 for n in range(10_000)])

    async def main() -> int:
        writer, written = LogWriter(log), 0
        pruning = asyncio.create_task(asyncio.to_thread(prune, log, keeping(), NOW))
        while not pruning.done():
            await writer.write([answer(time=NOW)])
            written += 1
        writer.close()
        assert pruning.result()["predictions"] == 10_000
        return written

    assert asyncio.run(main()) >= 10
