from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logged import TARGET, TASK, answer, put
from sqlalchemy import Engine, delete, event, insert

from closedloop.config import Traffic
from closedloop.prediction_log import checks, reading, trials
from closedloop.prediction_log.clock import HOUR, MINUTE, SECOND, to_text
from closedloop.prediction_log.export import export
from closedloop.prediction_log.labels import add_labels
from closedloop.prediction_log.reading import (
    SETTLED,
    batches,
    labelled,
    last_version,
    next_bounds,
    request_counts,
    window,
)
from closedloop.prediction_log.schema import CHECKS, PREDICTIONS, REQUESTS
from closedloop.prediction_log.store import BUSY_SECONDS
from closedloop.prediction_log.writer import WHEN_WRITTEN

START = 1_795_428_000 * SECOND  # 2026-11-23T10:00:00Z
BY_COUNT = Traffic(source="log", window=3)
BY_HOURS = Traffic(source="log", hours=2)


def check(log: Engine, start: int, end: int) -> None:
    checks.record(log, TASK, {}, start, end, version=1, rows=3, verdict="clean", alert=None)


def test_a_window_is_half_open_and_in_order(log: Engine) -> None:
    times = [START + 5, START - 1, START + 10, START, START + 5, START + 9]
    put(log, [answer(time=time) for time in times])
    put(log, [answer(time=START, task="another")])
    rows = window(log, TASK, START, START + 10).to_pylist()
    assert [row["time"] - START for row in rows] == [0, 5, 5, 9]
    assert [(row["time"], row["id"]) for row in rows] == sorted((row["time"], row["id"]) for row in rows)


def test_an_empty_window_has_all_columns(log: Engine) -> None:
    table = window(log, TASK, START, START + 1)
    assert (table.num_rows, table.schema) == (0, reading.SCHEMA)
    assert labelled(log, TASK).num_rows == 0


def test_a_window_of_one_version_with_its_labels(log: Engine) -> None:
    ids = put(log, [answer(time=START + n, version=1 + n % 2, role=("champion", "canary")[n % 2]) for n in range(6)])
    add_labels(log, TASK, [(ids[1], "4"), (ids[2], "5")], TARGET)
    table = window(log, TASK, START, START + 6, version=2)
    assert table.column("role").to_pylist() == ["canary"] * 3
    assert table.column("label").to_pylist() == ["4", None, None]
    assert last_version(log, TASK, START, START + 5) == 1
    assert last_version(log, TASK, START, START + 6) == 2
    assert last_version(log, TASK, START + 6, START + 9) is None


def test_inputs_may_be_left_out(log: Engine) -> None:
    put(log, [answer(time=START, request=None, descriptors='{"brightness":0.5}')])
    row = window(log, TASK, START, START + 1).to_pylist()[0]
    assert (row["request"], row["descriptors"]) == (None, '{"brightness":0.5}')


def test_labelled_predictions(log: Engine) -> None:
    ids = put(log, [answer(time=START - n) for n in range(3)])
    for label in ("3", "4", "5"):
        add_labels(log, TASK, [(ids[0], label), (ids[2], "5")], TARGET)
    table = labelled(log, TASK)
    assert table.schema.names == [
        "id", "time", "version", "role", "request", "prediction", "probabilities", "label", "revisions",
    ]  # fmt: skip
    assert [(row["id"], row["label"], row["revisions"]) for row in table.to_pylist()] == [
        (ids[2], "5", 0),
        (ids[0], "5", 2),
    ]


def test_a_large_window_comes_in_parts(log: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH", 100)
    ids = put(log, [answer(time=START + n) for n in range(250)])
    parts = list(batches(log, TASK, START, START + 250))
    assert [part.num_rows for part in parts] == [100, 100, 50]
    assert [key for part in parts for key in part.column("id").to_pylist()] == ids


def test_a_window_that_is_being_read_keeps_nobody_from_writing(log: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH", 10)
    put(log, [answer(time=START + n) for n in range(30)])
    parts = batches(log, TASK, START, START + 100)
    rows = next(parts).num_rows
    put(log, [answer(time=START + 50)])
    assert rows + sum(part.num_rows for part in parts) == 30  # as it was when the reading began


def test_export_writes_the_window(log: Engine, tmp_path: Path) -> None:
    ids = put(log, [answer(time=START + n) for n in range(20)])
    add_labels(log, TASK, [(ids[3], "4")], TARGET)
    path = tmp_path / "exported" / "window.parquet"
    assert export(log, TASK, START + 2, START + 12, path) == 10
    assert pq.read_table(path).equals(window(log, TASK, START + 2, START + 12))
    assert export(log, TASK, 0, 1, path) == 0
    assert pq.read_table(path).schema.names == reading.WINDOW


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (START, START + MINUTE, {200: 10, 500: 1}),
        (START + 30 * SECOND, START + 31 * SECOND, {200: 10, 500: 1}),  # the minute that it lies in
        (START + MINUTE - 1, START + MINUTE + 1, {200: 110, 422: 5, 500: 1}),
        (START + MINUTE, START + MINUTE + 1, {200: 100, 422: 5}),
        (START + 2 * MINUTE, START + 9 * MINUTE, {}),
    ],
)
def test_requests_of_the_minutes_that_a_window_touches(
    log: Engine, start: int, end: int, expected: dict[int, int]
) -> None:
    first, second = START, START + MINUTE
    rows = [(first, "a", 200, 4), (first, "b", 200, 6), (first, "a", 500, 1), (second, "a", 200, 100)]
    rows += [(second, "a", 422, 5)]
    with log.begin() as connection:
        for minute, worker, status, count in rows:
            values = {"task": TASK, "minute": minute, "worker": worker, "status": status, "count": count}
            connection.execute(insert(REQUESTS).values(values))
        connection.execute(insert(REQUESTS).values({**values, "task": "another"}))
    assert request_counts(log, TASK, start, end) == expected


class TestNextBounds:
    def test_an_empty_log(self, log: Engine) -> None:
        assert next_bounds(log, TASK, BY_COUNT, START) == (
            "the log holds no predictions of digits: start `make serve` and ask it something"
        )

    def test_too_few(self, log: Engine) -> None:
        put(log, [answer(time=START), answer(time=START + SECOND)])
        found = next_bounds(log, TASK, BY_COUNT, START + 10 * SECOND)
        assert isinstance(found, str)
        assert found.startswith("2 unchecked predictions of digits between 2026-11-23T10:00:00.000000Z and ")
        assert found.endswith("3 are needed (traffic.window)")

    def test_all_since_the_last_check(self, log: Engine) -> None:
        put(log, [answer(time=START + n * SECOND) for n in range(5)])
        now = START + 20 * SECOND
        assert next_bounds(log, TASK, BY_COUNT, now) == (START, now - SETTLED)
        check(log, START, START + 2 * SECOND)
        assert next_bounds(log, TASK, BY_COUNT, now) == (START + 2 * SECOND, now - SETTLED)
        check(log, START + 2 * SECOND, START + 3 * SECOND)
        assert isinstance(next_bounds(log, TASK, BY_COUNT, now), str)

    def test_what_may_not_have_settled_waits(self, log: Engine) -> None:
        put(log, [answer(time=START), answer(time=START + 1), answer(time=START + SECOND)])
        assert isinstance(next_bounds(log, TASK, BY_COUNT, START + SETTLED), str)
        assert isinstance(next_bounds(log, TASK, BY_COUNT, START + SECOND + SETTLED), str)
        assert next_bounds(log, TASK, BY_COUNT, START + SECOND + SETTLED + 1) == (START, START + SECOND + 1)

    def test_an_answer_whose_write_had_to_wait_is_in_the_next_window(
        self, log: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The slowest write that succeeds: begun, and then kept waiting for as long as a writer waits."""
        put(log, [answer(time=START) for _ in range(3)])
        monkeypatch.setattr("closedloop.prediction_log.writer.now", lambda: START + HOUR)
        stamped = START + HOUR + int(BUSY_SECONDS * SECOND)
        bounds = next_bounds(log, TASK, BY_COUNT, stamped)  # looked at before the commit
        assert isinstance(bounds, tuple)
        check(log, *bounds)
        late = put(log, [answer(time=WHEN_WRITTEN) for _ in range(3)])
        found = next_bounds(log, TASK, BY_COUNT, stamped + SETTLED)
        assert isinstance(found, tuple)
        assert window(log, TASK, *found).column("id").to_pylist() == sorted(late)

    def test_a_clock_that_was_set_back(self, log: Engine) -> None:
        put(log, [answer(time=START) for _ in range(5)])
        check(log, START, START + HOUR)
        assert isinstance(next_bounds(log, TASK, BY_COUNT, START), str)
        assert isinstance(next_bounds(log, TASK, BY_HOURS, START), str)

    def test_whole_hours(self, log: Engine) -> None:
        put(log, [answer(time=START), answer(time=START + 3 * HOUR)])
        assert next_bounds(log, TASK, BY_HOURS, START + HOUR) == (
            "traffic.hours asks for windows of 2 hours: the next one is complete at 2026-11-23T12:00:06.000000Z"
        )
        assert isinstance(next_bounds(log, TASK, BY_HOURS, START + 2 * HOUR + SETTLED - 1), str)
        assert next_bounds(log, TASK, BY_HOURS, START + 2 * HOUR + SETTLED) == (START, START + 2 * HOUR)
        check(log, START, START + 2 * HOUR)
        # a check was left out: all that has passed since is one window
        assert next_bounds(log, TASK, BY_HOURS, START + 7 * HOUR) == (START + 2 * HOUR, START + 6 * HOUR)
        check(log, START + 2 * HOUR, START + 6 * HOUR)
        found = next_bounds(log, TASK, BY_HOURS, START + 20 * HOUR)
        assert isinstance(found, str)
        assert found.startswith("0 unchecked predictions")

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3 * SECOND)), max_size=25), st.integers(1, 5))
    def test_windows_tile(self, log: Engine, steps: list[tuple[int, int]], needed: int) -> None:
        """Whatever comes when: no prediction is in two windows, and none is left out once it is settled."""
        with log.begin() as connection:
            connection.execute(delete(PREDICTIONS))
            connection.execute(delete(CHECKS))
        world = World(log, Traffic(source="log", window=needed))
        for answers, pause in steps:
            world.step(answers, pause)
        world.step(needed, SETTLED + SECOND)
        world.step(0, 0)
        assert sorted(world.checked) == sorted(world.asked)
        assert all(before[1] == after[0] for before, after in zip(world.windows, world.windows[1:], strict=False))


@dataclass
class World:
    """A clock, a server that answers now and then, and a monitor that looks after each step."""

    log: Engine
    traffic: Traffic
    time: int = START
    asked: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    windows: list[tuple[int, int]] = field(default_factory=list)

    def step(self, answers: int, pause: int) -> None:
        self.asked += put(self.log, [answer(time=self.time) for _ in range(answers)])
        self.time += pause
        bounds = next_bounds(self.log, TASK, self.traffic, self.time)
        if isinstance(bounds, str):
            return
        ids = window(self.log, TASK, *bounds).column("id").to_pylist()
        assert len(ids) >= self.traffic.window
        self.checked += ids
        self.windows.append(bounds)
        check(self.log, *bounds)
        assert to_text(bounds[0]) < to_text(bounds[1])


@pytest.mark.parametrize("log_address", ["sqlite"], indirect=True)
def test_labelled_predictions_are_found_by_their_labels(log: Engine) -> None:
    """Of millions of predictions a few have labels: to look at all would take a second a million."""
    asked: list[tuple[str, Any]] = []

    @event.listens_for(log, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    trials.shadowed(log, TASK, 2, 1)
    trials.canaried(log, TASK, 2, 1)
    labelled(log, TASK)
    questions = [question for question in asked if question[0].startswith("SELECT")]
    assert len(questions) == 3
    with log.connect() as connection:
        for statement, parameters in questions:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert "labels" in plan[0].detail, plan
