import asyncio
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logged import TARGET, TASK, answer, put
from sqlalchemy import Engine, delete, event, select, text

from closedloop.config import Params
from closedloop.errors import LogError
from closedloop.prediction_log import insertion, store, writer
from closedloop.prediction_log.clock import now
from closedloop.prediction_log.insertion import Inserter
from closedloop.prediction_log.labels import add_labels
from closedloop.prediction_log.reading import request_counts, window
from closedloop.prediction_log.schema import PREDICTIONS, REQUESTS, SHADOWS
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import LogWriter, ShadowAnswer

LATER = now() + 10**12


def shadow(key: str) -> ShadowAnswer:
    return ShadowAnswer(key, 2, "4", 0.5, [0.5, 0.5], 2.5)


def count(log: Engine) -> int:
    with log.connect() as connection:
        return len(connection.execute(select(PREDICTIONS.c.id)).all())


def test_what_is_written_is_read_back_whole(log: Engine) -> None:
    given = answer(request=b'{"text": "\xc3\xa9\x00"}', probabilities=[0.1, 1 / 3, 1e-300], role="canary", version=7)
    put(log, [given])
    row = window(log, TASK, 0, LATER).to_pylist()[0]
    assert row.pop("label") is row.pop("label_time") is None
    assert row == {name: value for name, value in given._asdict().items() if name != "task"}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 150), max_size=25), pauses=st.sets(st.integers(0, 24)))
def test_every_acknowledged_answer_is_in_the_log(log: Engine, sizes: list[int], pauses: set[int]) -> None:
    """Many requests of many sizes at once, some a turn of the loop later than others."""
    requests = [[answer() for _ in range(size)] for size in sizes]

    async def request(number: int, log_writer: LogWriter) -> None:
        if number in pauses:
            await asyncio.sleep(0)
        await log_writer.write(requests[number])
        if requests[number]:
            with log.connect() as connection:  # at once, from another connection
                last = select(PREDICTIONS.c.id).where(PREDICTIONS.c.id == requests[number][-1].id)
                assert connection.execute(last).scalar() is not None

    async def all_of_them() -> None:
        log_writer = LogWriter(log)
        await asyncio.gather(*[request(number, log_writer) for number in range(len(requests))])
        log_writer.close()

    before = count(log)
    asyncio.run(all_of_them())
    assert count(log) - before == sum(sizes)


def test_two_loops_may_write_at_once(log: Engine) -> None:
    async def write(log_writer: LogWriter) -> None:
        for _ in range(20):
            await log_writer.write([answer()])

    async def both() -> None:
        log_writer = LogWriter(log)
        await asyncio.gather(asyncio.to_thread(asyncio.run, write(log_writer)), write(log_writer))
        log_writer.close()

    asyncio.run(both())
    assert count(log) == 40


def test_an_answer_that_is_there_already_is_left_as_it_is(log: Engine) -> None:
    first = answer(prediction="3")
    put(log, [first])
    put(log, [first._replace(prediction="4"), answer()])
    assert count(log) == 2
    assert window(log, TASK, 0, LATER).column("prediction").to_pylist().count("4") == 0


def test_requests_are_counted_by_minute_and_status(log: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.01)
    log_writer = LogWriter(log)
    for status in [200] * 5 + [422] * 2 + [503]:
        log_writer.count(TASK, status)
        time.sleep(0.01)  # so that several writings meet in one row
    log_writer.count("another", 500)
    log_writer.close()
    assert request_counts(log, TASK, now() - 10**9, LATER) == {200: 5, 422: 2, 503: 1}
    with log.connect() as connection:
        assert all(row.minute % 60_000_000 == 0 for row in connection.execute(select(REQUESTS)))


def test_shadow_answers_are_written_behind_the_others(log: Engine) -> None:
    log_writer, answers = LogWriter(log), [answer() for _ in range(200)]
    assert all(log_writer.submit_shadow(shadow(one.id)) for one in answers)
    log_writer.close()
    with log.connect() as connection:
        rows = connection.execute(select(SHADOWS)).all()
    assert {row.prediction_id for row in rows} == {one.id for one in answers}
    assert orjson.loads(rows[0].probabilities) == [0.5, 0.5]
    assert (log_writer.dropped, log_writer.backlog) == (0, 0)


def test_shadow_answers_are_dropped_when_too_many_wait(log: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SHADOWS_WAITING", 10)
    with store.writing(log) as blocking:
        blocking.execute(text("DELETE FROM shadows"))
        if log.dialect.name == "postgresql":
            blocking.execute(text("LOCK TABLE shadows IN ACCESS EXCLUSIVE MODE"))
        log_writer = LogWriter(log)
        taken = [log_writer.submit_shadow(shadow(answer().id)) for _ in range(50)]
        assert 10 <= sum(taken) <= 11  # those that wait, and one that is being written
        assert log_writer.dropped == 50 - sum(taken)
    log_writer.close()
    with log.connect() as connection:
        assert len(connection.execute(select(SHADOWS)).all()) == sum(taken)
    assert not log_writer.submit_shadow(shadow(answer().id))


def test_a_request_that_gave_up_harms_nobody(log: Engine) -> None:
    async def main() -> None:
        log_writer = LogWriter(log)
        with store.writing(log) as blocking:
            if log.dialect.name == "postgresql":
                blocking.execute(text("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(log_writer.write([answer()]), 0.05)
            waiting = asyncio.create_task(log_writer.write([answer()]))
            await asyncio.sleep(0.05)
        await waiting
        log_writer.close()

    asyncio.run(main())
    assert count(log) == 2


class Stalled:
    """Inserts wait while it is set, as for a database that hangs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        insert = Inserter.insert

        def wait(inserter: Inserter, table: Any, rows: Any) -> None:
            assert self.go.wait(30)
            insert(inserter, table, rows)

        monkeypatch.setattr(Inserter, "insert", wait)


async def begun(log_writer: LogWriter, size: int = 1) -> asyncio.Task[None]:
    """A request whose answers have been handed over."""
    request = log_writer.write([answer() for _ in range(size)])
    task = asyncio.get_running_loop().create_task(request)
    for _ in range(10):
        await asyncio.sleep(0.01)
    return task


def test_no_more_waits_than_fits_into_memory(log: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "ANSWERS_WAITING", 10)
    stalled = Stalled(monkeypatch)

    async def main() -> None:
        log_writer = LogWriter(log)
        waiting = [await begun(log_writer, 5) for _ in range(2)]
        with pytest.raises(LogError, match="10 predictions wait"):
            await log_writer.write([answer()])
        waiting[1].cancel()  # who gives up makes no room: the rows still wait
        with pytest.raises(LogError, match="10 predictions wait"):
            await log_writer.write([answer()])
        stalled.go.set()
        await waiting[0]
        while log_writer.trouble:
            await asyncio.sleep(0.01)
        await log_writer.write([answer()])
        log_writer.close()

    asyncio.run(main())
    assert count(log) == 6  # nothing of the request that was cancelled before anybody wrote it


def test_nobody_waits_behind_a_write_that_hangs(log: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "STUCK_SECONDS", 0.1)
    stalled = Stalled(monkeypatch)

    async def main() -> None:
        log_writer = LogWriter(log)
        waiting = await begun(log_writer)
        while not log_writer.trouble:
            await asyncio.sleep(0.01)
        with pytest.raises(LogError, match="has not answered for 0 s"):
            await log_writer.write([answer()])
        stalled.go.set()
        await waiting
        while log_writer.trouble:
            await asyncio.sleep(0.01)
        await log_writer.write([answer()])
        log_writer.close()

    asyncio.run(main())
    assert count(log) == 2


def test_closing_writes_what_waits_and_then_refuses(log: Engine) -> None:
    async def main() -> None:
        log_writer = LogWriter(log)
        waiting = [asyncio.create_task(log_writer.write([answer()])) for _ in range(100)]
        await asyncio.sleep(0)
        log_writer.close()
        await asyncio.gather(*waiting)
        with pytest.raises(LogError, match="is closed"):
            await log_writer.write([answer()])

    asyncio.run(main())
    assert count(log) == 100


def failing_then_working(log: Engine, mend: Any, match: str) -> None:
    """A write that fails with a message, then the cause goes away, then one that works: with the same writer."""

    async def main() -> None:
        log_writer = LogWriter(log)
        outcomes = await asyncio.gather(*[log_writer.write([answer()]) for _ in range(5)], return_exceptions=True)
        assert Counter(type(outcome) for outcome in outcomes) == {LogError: 5}
        assert match in str(outcomes[0])
        mend()
        await log_writer.write([answer()])
        log_writer.close()

    asyncio.run(main())
    assert count(log) == 1


def test_a_row_that_the_database_refuses_fails_nobody_else(log: Engine) -> None:
    async def main() -> list[Any]:
        log_writer = LogWriter(log)
        bad = answer(prediction=None)
        writes = [[answer()], [answer(), bad], [answer()], [answer(), answer()]]
        outcomes = await asyncio.gather(*[log_writer.write(one) for one in writes], return_exceptions=True)
        log_writer.close()
        return outcomes

    assert [type(outcome) for outcome in asyncio.run(main())] == [type(None), LogError, type(None), type(None)]
    assert count(log) == 4


def test_a_shadow_answer_that_the_database_refuses_is_said_once_and_costs_no_other(
    log: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    log_writer, answers = LogWriter(log), [answer() for _ in range(20)]
    for one in answers:
        log_writer.submit_shadow(shadow(one.id))
    for _ in range(2):
        log_writer.submit_shadow(shadow(answer().id)._replace(prediction=None))  # type: ignore[arg-type]
    log_writer.close()
    with log.connect() as connection:
        assert len(connection.execute(select(SHADOWS)).all()) == 20
    assert log_writer.dropped == 2
    assert capfd.readouterr().err.count("shadow answers are not logged") == 1


class TestSQLite:
    @pytest.fixture
    def log_address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/predictions.db"

    def test_locked_by_another_program(self, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store, "BUSY_SECONDS", 0.1)
        log = open_log(params)
        other = sqlite3.connect(tmp_path / "predictions.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        failing_then_working(log, lambda: other.execute("ROLLBACK"), "another program holds it locked")
        other.close()

    def test_full_disk(self, log: Engine) -> None:
        @event.listens_for(log, "connect")
        def limit(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA max_page_count=100")

        async def main() -> None:
            log_writer, written = LogWriter(log), 0
            with pytest.raises(LogError, match="the disk is full: free some space"):
                for _ in range(10_000):
                    await log_writer.write([answer(request=b"x" * 3000)])
                    written += 1
            assert count(log) == written > 10  # nothing that was acknowledged is lost
            with log.begin() as connection:
                connection.execute(delete(PREDICTIONS))
            await log_writer.write([answer(request=b"x" * 3000)])
            log_writer.close()

        asyncio.run(main())
        assert count(log) == 1

    @pytest.mark.parametrize("how", ["deleted", "replaced"])
    def test_a_file_that_goes_away_is_not_written_to(self, params: Params, tmp_path: Path, how: str) -> None:
        log, file = open_log(params), tmp_path / "predictions.db"

        async def main() -> None:
            log_writer = LogWriter(log)
            await log_writer.write([answer()])
            aside = file.rename(tmp_path / "aside.db")
            if how == "replaced":
                file.write_bytes(b"")
            for _ in range(2):
                with pytest.raises(LogError, match="moved, replaced or deleted while it was written"):
                    await log_writer.write([answer()])
            aside.rename(file)
            await log_writer.write([answer()])
            log_writer.close()

        asyncio.run(main())
        assert count(log) >= 2

    def test_labels_for_a_file_that_is_gone_are_refused(self, params: Params, tmp_path: Path) -> None:
        log = open_log(params)
        ids = put(log, [answer()])
        (tmp_path / "predictions.db").unlink()
        with pytest.raises(LogError, match="put it back if it was moved or deleted, or restart the server"):
            add_labels(log, TASK, [(ids[0], "3")], TARGET)
        assert not (tmp_path / "predictions.db").exists()


class TestPostgres:
    @pytest.fixture
    def log_address(self, postgres_uri: str) -> str:
        return postgres_uri

    def test_a_lost_connection_is_made_anew(self, log: Engine) -> None:
        async def main() -> None:
            log_writer = LogWriter(log)
            await log_writer.write([answer()])
            with log.begin() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            await asyncio.gather(*[log_writer.write([answer()]) for _ in range(5)])
            log_writer.close()

        asyncio.run(main())
        assert count(log) == 6

    def test_who_waits_for_a_lock_is_told_so(self, log: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(insertion, "BUSY_SECONDS", 0.1)
        with log.connect() as other:
            other.execute(text("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE"))
            failing_then_working(log, other.rollback, "somebody holds a lock on it")

    def test_a_database_that_lets_nobody_in(self, log: Engine, postgres: Path) -> None:
        name = str(log.url.database)
        log.dispose()
        with psycopg.connect(f"host={postgres} user=postgres dbname=postgres", autocommit=True) as connection:

            def allow(connections: str) -> None:
                connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {connections}")

            allow("false")
            failing_then_working(log, lambda: allow("true"), "not currently accepting connections")
