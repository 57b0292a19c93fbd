"""Alerts, delivered to a real server on loopback."""

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from closedloop.monitoring import alert
from closedloop.monitoring.quality import METRICS
from closedloop.prediction_log.clock import to_micros, to_text

DOCUMENT = Path(__file__).parents[2] / "docs" / "alerts.md"
CONFIDENTIAL = "s3cr3t"


@dataclass
class Webhook:
    """A receiver that answers with `statuses` in turn, the last one for good."""

    statuses: list[int]
    port: int = 0
    received: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/{CONFIDENTIAL}"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook([204])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.received.append((self.path, dict(self.headers), content))
            status = hook.statuses.pop(0) if len(hook.statuses) > 1 else hook.statuses[0]
            if status == 0:  # break off without an answer
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield hook
        server.shutdown()
        thread.join(5)


def moment(time: str) -> str:
    """As bounds are written down."""
    return to_text(to_micros(f"2026-11-23T{time}Z"))


def report() -> dict[str, Any]:
    """What the document's example was made from."""
    names = ("contrast", "noise", "slant")
    accuracy = {"value": 0.871, "low": 0.832, "high": 0.904, "reference": 0.978, "method": "mean of confidence"}
    return {
        "verdict": "drift",
        "reasons": [
            "2 of 17 columns have moved: contrast (KS distance 0.41, p 1.1e-30), noise (KS distance 0.22, p 3.0e-09)"
        ],
        "window": {"start": moment("10:00:00"), "end": moment("11:00:00"), "rows": 300, "version": 2},
        "columns": [{"name": name, "drifted": name != "slant"} for name in names],
        "accuracy": None,
        "estimated_accuracy": accuracy,
    }


def body() -> dict[str, Any]:
    pages = {"window": "reports/digits/drift.html", "history": "reports/digits/history.html"}
    return alert.body(report(), "digits", pages, moment("11:00:07"))


def test_the_document_shows_the_body_as_it_is() -> None:
    text = DOCUMENT.read_text()
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert json.loads(example) == body()
    assert list(json.loads(example)) == list(body())
    table = {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    of_numbers = {name.replace("accuracy", "mae") for name in body()}
    assert table == set(body()) | of_numbers | set(METRICS)


def test_it_arrives_once_as_json(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(alert.WEBHOOK, webhook.address)
    assert alert.send(body()) == "delivered: HTTP 204"
    ((path, headers, content),) = webhook.received
    assert path == f"/hooks/{CONFIDENTIAL}"
    assert headers["Content-Type"] == "application/json"
    assert content == body()


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_what_may_pass_is_tried_again_after_growing_pauses(webhook: Webhook, status: int) -> None:
    webhook.statuses = [status, status, 200]
    pauses: list[float] = []
    assert alert.send(body(), webhook.address, sleep=pauses.append) == "delivered: HTTP 200 at attempt 3"
    assert pauses == sorted(set(pauses))
    assert [content for _, _, content in webhook.received] == [body()] * 3


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410])
def test_what_will_not_pass_ends_it_at_once(webhook: Webhook, status: int) -> None:
    webhook.statuses = [status]
    assert alert.send(body(), webhook.address, sleep=pytest.fail) == f"not delivered: HTTP {status}"
    assert len(webhook.received) == 1


def test_it_gives_up_in_the_end(webhook: Webhook) -> None:
    webhook.statuses = [502]
    pauses: list[float] = []
    assert alert.send(body(), webhook.address, sleep=pauses.append) == "not delivered: HTTP 502, 4 times"
    assert tuple(pauses) == alert.PAUSES


def test_nobody_there_is_tried_again_and_said(webhook: Webhook) -> None:
    address = f"http://127.0.0.1:1/{CONFIDENTIAL}"
    fate = alert.send(body(), address, pauses=(0.0,), sleep=lambda _pause: None)
    assert fate == "not delivered: Connection refused, 2 times"
    assert webhook.received == []


def test_an_answer_that_drips_in_is_waited_for_no_longer() -> None:
    class Dripping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with contextlib.suppress(OSError):
                while True:  # a header without an end, each byte of it sooner than the timeout
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX: " if not ended.is_set() else b"\r\n\r\n")
                    if ended.wait(0.05):
                        return

    ended = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/{CONFIDENTIAL}"
        assert alert.send(body(), address, pauses=(), timeout=0.3) == "not delivered: no answer in time"
        ended.set()
        server.shutdown()


def test_no_answer_in_time(webhook: Webhook) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:  # accepts and never reads
        address = f"http://127.0.0.1:{silent.server_address[1]}/{CONFIDENTIAL}"
        assert alert.send(body(), address, pauses=(), timeout=0.2) == "not delivered: no answer in time"
    assert webhook.received == []


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "is not set"),
        (f"file:///etc/{CONFIDENTIAL}", "must begin with http:// or https://"),
        (f"ftp://example.org/{CONFIDENTIAL}", "must begin with http:// or https://"),
        (CONFIDENTIAL, "must begin with http:// or https://"),
        (f"http:///{CONFIDENTIAL}", "is not a valid address"),
        (f"http://example.org:{CONFIDENTIAL}/", "is not a valid address"),
        (f"http://[{CONFIDENTIAL}/", "is not a valid address"),
        (f"http://example.org/{CONFIDENTIAL}\r\nHost: other", "is not a valid address"),
        (f"http://example.org/ü{CONFIDENTIAL}", "is not a valid address"),
        (f"https://user:{CONFIDENTIAL}@example.org/", "must not hold a user name"),
    ],
)
def test_a_wrong_address_is_refused_without_quoting_it(address: str, why: str) -> None:
    fate = alert.send(body(), address, sleep=pytest.fail)
    assert fate.startswith(f"not sent: {alert.WEBHOOK} ")
    assert why in fate
    assert CONFIDENTIAL not in fate


def test_a_host_that_cannot_be_looked_up_ends_in_words() -> None:
    fate = alert.send(body(), f"http://{'a' * 80}.invalid/{CONFIDENTIAL}", pauses=())
    assert fate.startswith("not delivered: ")
    assert CONFIDENTIAL not in fate
