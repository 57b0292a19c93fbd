"""Questions to an MLflow server past its client: what passes is asked again, and who asks says who they are."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from closedloop.errors import StoreUnanswered
from closedloop.registry import rest


@dataclass
class Store:
    """Answers with what a test has laid ready, status by status; keeps the headers that it was sent."""

    uri: str
    ready: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(rest, "PAUSES", (0.0, 0.0))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            store.asked.append(dict(self.headers))
            status, content = store.ready.pop(0)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        store = Store(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield store
        server.shutdown()


@pytest.mark.parametrize("status", [429, 503])
def test_what_passes_is_asked_again(answering: Store, status: int) -> None:
    answering.ready = [(status, {}), (status, {}), (200, {"found": 1})]
    assert rest.ask(answering.uri, "model-versions/get", name="digits") == {"found": 1}
    answering.ready = [(status, {})] * 3
    with pytest.raises(StoreUnanswered, match=f"status {status}"):
        rest.ask(answering.uri, "model-versions/get", name="digits")


def test_a_refusal_and_what_does_not_exist_are_asked_for_once(answering: Store) -> None:
    answering.ready = [(403, {}), (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})]
    with pytest.raises(StoreUnanswered, match="status 403"):
        rest.ask(answering.uri, "model-versions/get", name="digits")
    assert rest.ask(answering.uri, "model-versions/get", name="digits") is None


def test_the_credentials_file_of_mlflow_is_read_where_nothing_else_is_said(
    answering: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = a%b\n"
    )
    answering.ready = [(200, {})] * 2
    rest.ask(answering.uri, "model-versions/get")
    assert answering.asked[-1]["Authorization"] == "Basic YW5uOmElYg=="
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "bob")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "c")
    rest.ask(answering.uri, "model-versions/get")
    assert answering.asked[-1]["Authorization"] == "Basic Ym9iOmM="
