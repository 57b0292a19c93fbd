"""What was answered is in the log, however the server ends; and it ends well when it is asked to."""

import contextlib
import fcntl
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import psycopg
import pytest
from running_server import (
    HOST,
    JSON,
    PATIENCE,
    MakeServer,
    RunningServer,
    image,
    start,
    wait_until_answering,
    write_params,
)

from closedloop.serving import events
from registered_digits import Registry

BODIES = [json.dumps({"image": image(row)}).encode() for row in range(8)]


@dataclass
class Crowd:
    """Clients that ask on and on over kept connections, and what they have seen."""

    server: RunningServer
    ids: list[str] = field(default_factory=list)  # of acknowledged predictions
    statuses: set[int] = field(default_factory=set)
    unanswered: int = 0  # requests on a connection that had been answered before, and that got nothing back
    ending: bool = False  # no failure counts as unexpected from now on

    def ask(self, ended: threading.Event) -> None:
        while not ended.is_set():
            connection = http.client.HTTPConnection(HOST, self.server.port, timeout=PATIENCE)
            answered = 0
            with contextlib.closing(connection):
                try:
                    while not ended.is_set():
                        connection.request("POST", "/predict", BODIES[answered % len(BODIES)], JSON)
                        answer = connection.getresponse()
                        content = answer.read()
                        self.statuses.add(answer.status)
                        if answer.status == 200:
                            self.ids.append(json.loads(content)["id"])
                        answered += 1
                        if answer.will_close:
                            break
                except (OSError, http.client.HTTPException):
                    self.unanswered += bool(answered)
                    if self.ending:
                        return


@contextlib.contextmanager
def crowd(server: RunningServer, clients: int = 4) -> Iterator[Crowd]:
    asking, ended = Crowd(server), threading.Event()
    threads = [threading.Thread(target=asking.ask, args=(ended,)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield asking
    finally:
        asking.ending = True
        ended.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)


def wait_for_answers(asking: Crowd, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(asking.ids) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def killed_again_and_again(server: RunningServer, times: int) -> None:
    acknowledged: set[str] = set()
    for round_ in range(times):
        with crowd(server) as asking:
            wait_for_answers(asking, 50 + 37 * round_ % 200)
            asking.ending = True
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(PATIENCE)
        acknowledged.update(asking.ids)
        missing = acknowledged - server.logged_ids()
        assert not missing, f"{len(missing)} of {len(acknowledged)} are lost after kill {round_ + 1}"
        if round_ + 1 < times:
            server = start(server.root)
            wait_until_answering(server)
    server.process.kill()


def test_an_acknowledged_prediction_survives_sigkill(make_server: MakeServer) -> None:
    killed_again_and_again(make_server(), times=2)


@pytest.mark.slow
def test_an_acknowledged_prediction_survives_twenty_sigkills(make_server: MakeServer) -> None:
    killed_again_and_again(make_server(), times=20)


def test_sigterm_answers_what_was_accepted_and_loses_nothing(make_server: MakeServer) -> None:
    server = make_server()
    with crowd(server, clients=8) as asking:
        wait_for_answers(asking, 100)
        asking.ending = True
        assert server.stop() == 0
    assert asking.unanswered == 0
    assert asking.statuses == {200}
    assert set(asking.ids) == server.logged_ids()
    assert [line["event"] for line in server.events("stopped")] == ["stopped"]


def test_a_log_that_nobody_reads_keeps_no_server_from_answering_and_ending(registry: Registry) -> None:
    registry.point("champion", registry.add("strong"))
    write_params(registry.root)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    server = start(registry.root, out=writing)
    try:
        os.close(writing)
        wait_until_answering(server)
        for _ in range(100):  # each has a line of two hundred bytes
            assert server.ask("POST", "/predict", BODIES[0], JSON).status == 200
        assert server.stop() == 0
    finally:
        server.process.kill()
        os.close(reading)


def test_lines_beyond_the_most_are_counted(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    events.flush(PATIENCE)
    capfd.readouterr()
    monkeypatch.setattr(events, "MOST_LINES", 5)
    for number in range(50):
        events.emit("info", "test", number=number)
    events.flush(PATIENCE)
    monkeypatch.undo()
    events.emit("info", "test", number=50)
    for _ in range(2):  # what was dropped is told in a line of its own
        events.flush(PATIENCE)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    told = [line["number"] for line in lines if line["event"] == "test"]
    assert told[-1] == 50
    assert len(told) + sum(line["lines"] for line in lines if line["event"] == "dropped") == 51


@contextlib.contextmanager
def stopped(uri: str) -> Iterator[None]:
    """A database hangs, and lets nobody in either."""
    with psycopg.connect(uri) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        backends = [row[0] for row in connection.execute(query)]
    everybody = [psutil.Process(backends[0]).ppid(), *backends]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)


def test_a_database_that_hangs_keeps_no_server_from_ending(make_server: MakeServer, postgres_uri: str) -> None:
    server = make_server("serving.timeout_seconds=1", CLOSEDLOOP_LOG_URI=postgres_uri)
    answer = server.ask("POST", "/predict", BODIES[0], JSON)
    assert answer.status == 200
    server.get("/readyz")
    label = {"id": answer.json["id"], "label": "1"}
    assert server.post("/feedback", label).status == 200
    with stopped(postgres_uri):
        assert server.ask("POST", "/predict", BODIES[0], JSON).status == 503
        assert server.get("/readyz").status == 503
        assert server.post("/feedback", label).status == 503
        assert server.get("/healthz").status == 200
        assert server.stop() == 0


def workers_of(server: RunningServer) -> set[int]:
    """The ids of the processes that answer."""
    children = psutil.Process(server.process.pid).children()
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return {child.pid for child in alive if "spawn_main" in " ".join(child.cmdline())}


def counted(server: RunningServer, status: int) -> float:
    """Requests to /predict as /metrics tells them, of all workers."""
    name = f'closedloop_requests_total{{route="/predict",status="{status}"}} '
    reply = server.get("/metrics")
    assert reply.status == 200, reply.body
    lines = reply.body.decode().splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def test_two_workers_share_the_work_and_one_that_dies_is_replaced(make_server: MakeServer) -> None:
    server = make_server(arguments=("--workers", "2"))
    before = workers_of(server)
    assert len(before) == 2
    with crowd(server) as asking:
        wait_for_answers(asking, 200)
    assert set(asking.ids) <= server.logged_ids()
    assert counted(server, 200) == len(asking.ids)
    psutil.Process(min(before)).kill()
    deadline = time.monotonic() + PATIENCE
    while len(workers_of(server) - {min(before)}) < 2 or psutil.pid_exists(min(before)):
        assert time.monotonic() < deadline, "the worker is not replaced"
        time.sleep(0.1)
    assert counted(server, 200) == len(asking.ids)  # what the dead one has counted stays
    with crowd(server) as after:
        wait_for_answers(after, 50)
    assert after.statuses == {200}
    assert set(after.ids) <= server.logged_ids()
    everybody = [psutil.Process(pid) for pid in workers_of(server)]
    assert server.stop() == 0
    _, alive = psutil.wait_procs(everybody, timeout=PATIENCE)
    assert not alive


def test_workers_end_with_their_supervisor(make_server: MakeServer) -> None:
    server = make_server(arguments=("--workers", "2"))
    everybody = [psutil.Process(pid) for pid in workers_of(server)]
    assert len(everybody) == 2
    server.process.kill()
    _, alive = psutil.wait_procs(everybody, timeout=PATIENCE)
    assert not alive
