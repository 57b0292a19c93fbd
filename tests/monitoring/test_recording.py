"""What follows a verdict: one alert a window, one record, and the history page."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.monitoring import alert
from closedloop.monitoring.recording import record, write_history
from closedloop.paths import Paths
from closedloop.prediction_log import attempts, checks
from closedloop.prediction_log.store import open_log

CONF = Path(__file__).parents[2] / "conf"
IN_PATH = "c0nfidential"


@pytest.fixture
def params() -> Params:
    return parse(compose("digits", (), CONF), "conf")


@pytest.fixture
def engine(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("CLOSEDLOOP_LOG_URI", f"sqlite:///{tmp_path}/predictions.db")
    monkeypatch.delenv(alert.WEBHOOK, raising=False)
    engine = open_log(params)
    yield engine
    engine.dispose()


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The bodies that a webhook has received."""
    bodies: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv(alert.WEBHOOK, f"http://127.0.0.1:{server.server_address[1]}/{IN_PATH}")
        yield bodies
        server.shutdown()
        thread.join(5)


def report_of(verdict: str, hour: int = 10, **changed: Any) -> dict[str, Any]:
    moved = [{"name": "contrast", "effect": 0.4, "drifted": True}] if verdict == "drift" else []
    window = {"start": f"2026-11-23T{hour}:00:00Z", "end": f"2026-11-23T{hour + 1}:00:00Z", "rows": 300, "version": 2}
    return {
        "verdict": verdict,
        "reasons": ["1 of 17 columns have moved: contrast (KS distance 0.40)"] if moved else [],
        "window": window,
        "columns": moved,
        "accuracy": None,
        "estimated_accuracy": None,
        **changed,
    }


def test_drift_is_told_once_however_often_the_window_is_checked(
    params: Params, engine: Engine, received: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = Paths("digits", tmp_path)
    for _ in range(3):
        record(params, paths, engine, report_of("drift"))
    assert [body["id"] for body in received] == ["digits/2/2026-11-23T10:00:00Z/2026-11-23T11:00:00Z"]
    (check,) = checks.recent(engine, "digits", 10)
    assert check.alert == "delivered: HTTP 200"
    said = capsys.readouterr().err
    assert said == "closedloop: alert delivered: HTTP 200\n"
    record(params, paths, engine, report_of("drift", hour=11))
    assert len(received) == 2


def test_a_window_that_turns_bad_with_its_labels_is_told(
    params: Params, engine: Engine, received: list[Any], tmp_path: Path
) -> None:
    paths = Paths("digits", tmp_path)
    record(params, paths, engine, report_of("clean"))
    record(params, paths, engine, report_of("too_few_rows"))
    assert received == []
    assert checks.recent(engine, "digits", 10)[0].alert is None
    record(params, paths, engine, report_of("drift"))
    assert len(received) == 1
    record(params, paths, engine, report_of("clean"))
    assert checks.recent(engine, "digits", 10)[0].alert is None


def test_what_did_not_arrive_is_sent_again(
    params: Params, engine: Engine, received: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, address = Paths("digits", tmp_path), os.environ[alert.WEBHOOK]
    monkeypatch.delenv(alert.WEBHOOK)
    record(params, paths, engine, report_of("drift"))
    assert checks.recent(engine, "digits", 10)[0].alert == "not sent: CLOSEDLOOP_WEBHOOK is not set"
    monkeypatch.setenv(alert.WEBHOOK, address)
    record(params, paths, engine, report_of("drift"))
    assert checks.recent(engine, "digits", 10)[0].alert == "delivered: HTTP 200"
    assert len(received) == 1


def test_the_address_is_written_nowhere(
    params: Params, engine: Engine, received: list[Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record(params, Paths("digits", tmp_path), engine, report_of("drift"))
    engine.dispose()
    assert len(received) == 1
    captured = capfd.readouterr()
    assert IN_PATH not in captured.out + captured.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "history.html" for path in files)
    assert [path for path in files if IN_PATH.encode() in path.read_bytes()] == []


def test_the_page_shows_windows_and_attempts_in_their_order(params: Params, engine: Engine, tmp_path: Path) -> None:
    paths = Paths("digits", tmp_path)
    for hour, verdict in ((10, "clean"), (11, "drift"), (12, "drift")):
        record(params, paths, engine, report_of(verdict, hour))
    attempt = attempts.begin(engine, "digits", "drift", ["2 of the last 3 windows drifted"], 2)
    attempts.finish(engine, attempt, "promoted", challenger=3, champion_after=3)
    write_history(params, paths, engine)
    page = paths.report("history.html").read_text()
    table = page[page.index("<tbody>") :]
    order = [
        table.index(text) for text in ("2 of the last 3 windows drifted", "12:00:00", "11:00:00 to", "10:00:00 to")
    ]
    assert order == sorted(order)
    assert "version 3 took over from version 2" in page
    assert "2 of 3 windows drifted" in page
