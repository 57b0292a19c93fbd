import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from logged import TASK
from sqlalchemy import Engine, update

from closedloop.errors import ClosedLoopError, LogError
from closedloop.prediction_log import attempts
from closedloop.prediction_log.clock import HOUR, now
from closedloop.prediction_log.schema import ATTEMPTS

BEGINNING = """
import sys
from pathlib import Path
from closedloop.config import load
from closedloop.prediction_log import attempts
from closedloop.prediction_log.store import open_log
attempts.begin(open_log(load(Path("params.yaml"))), "digits", "drift", ["2 of the last 3 windows alarmed"], 1)
print("begun", flush=True)
sys.stdin.read(1)
"""


def begin(log: Engine, task: str = TASK) -> str:
    return attempts.begin(log, task, "drift", ["2 of the last 3 windows alarmed"], 1)


def outcomes(log: Engine) -> list[str]:
    return [attempt.outcome for attempt in attempts.recent(log, TASK, 10)]


def pretend(log: Engine, attempt: str, **columns: object) -> None:
    with log.begin() as connection:
        connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.id == attempt).values(**columns))


def test_an_attempt_from_beginning_to_end(log: Engine) -> None:
    before = now()
    attempt = begin(log)
    running = attempts.recent(log, TASK, 1)[0]
    assert (running.outcome, running.ended, running.champion_before) == ("running", None, 1)
    attempts.note(log, attempt, partition="a" * 64, data={"used": 120})
    attempts.finish(log, attempt, outcome="promoted", challenger=2, champion_after=2, verdict={"reasons": ["besser"]})
    done = attempts.recent(log, TASK, 1)[0]
    assert (done.id, done.task, done.trigger, done.outcome) == (attempt, TASK, "drift", "promoted")
    assert done.reasons == ["2 of the last 3 windows alarmed"]
    assert (done.partition, done.data, done.verdict) == ("a" * 64, {"used": 120}, {"reasons": ["besser"]})
    assert (done.champion_before, done.challenger, done.champion_after) == (1, 2, 2)
    assert done.ended is not None
    assert before <= done.started <= done.ended <= now()


def test_the_latest_come_last(log: Engine) -> None:
    ids = []
    for number in range(4):
        ids.append(begin(log))
        attempts.finish(log, ids[-1], "refused")
        pretend(log, ids[-1], started=number)
    begin(log, "another")
    assert [attempt.id for attempt in attempts.recent(log, TASK, 2)] == ids[2:]


def test_one_at_a_time(log: Engine) -> None:
    first = begin(log)
    with pytest.raises(ClosedLoopError, match="another attempt to retrain digits is under way since 2"):
        begin(log)
    begin(log, "another")  # another task is free
    attempts.finish(log, first, "failed")
    begin(log)
    assert outcomes(log) == ["failed", "running"]


def test_of_many_that_begin_at_once_one_does(log: Engine) -> None:
    started = threading.Barrier(6)
    refused: list[ClosedLoopError] = []

    def race() -> None:
        started.wait()
        try:
            begin(log)
        except ClosedLoopError as error:
            refused.append(error)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    assert all("is under way" in str(error) for error in refused)
    assert outcomes(log) == ["running"]


def test_a_killed_attempt_is_shown_so_and_keeps_nobody_waiting(log: Engine, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BEGINNING], cwd=tmp_path / "project", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    with pytest.raises(ClosedLoopError, match=f"process {socket.gethostname()}:{process.pid}:"):
        begin(log)
    assert outcomes(log) == ["running"]
    process.kill()
    process.communicate()
    assert outcomes(log) == ["interrupted"]
    begin(log)
    assert outcomes(log) == ["interrupted", "running"]


def test_a_process_number_that_came_again_is_another_process(log: Engine) -> None:
    attempt = begin(log)
    start = psutil.Process().create_time()
    pretend(log, attempt, process=f"{socket.gethostname()}:{os.getpid()}:{start - 3600:.0f}")
    assert outcomes(log) == ["interrupted"]
    begin(log)


@pytest.mark.parametrize(("age", "outcome"), [(11, "running"), (13, "interrupted")])
def test_an_attempt_elsewhere_is_believed_for_half_a_day(log: Engine, age: int, outcome: str) -> None:
    pretend(log, begin(log), process="elsewhere:1:1", started=now() - age * HOUR)
    assert outcomes(log) == [outcome]
    if outcome == "running":
        with pytest.raises(ClosedLoopError, match="process elsewhere:1:1"):
            begin(log)
    else:
        begin(log)


def test_an_attempt_that_the_log_lost(log: Engine) -> None:
    with pytest.raises(LogError, match="holds no attempt 01ARZ3NDEKTSV4RRFFQ69G5FAV"):
        attempts.finish(log, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "failed")
