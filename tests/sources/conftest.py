"""A publisher on loopback that can misbehave in every way that publishers do."""

import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET

import pytest


class Publisher:
    """Serves `files` by path. `faults` holds what each path does to its next requests, one after the other:

    a status ("503"), "reset" (the connection breaks), "cut" (the body ends early), "cut-unannounced" (the same, without
    a Content-Length), "stall" (half the body, then silence) or "silent" (no answer at all).
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: defaultdict[str, list[str]] = defaultdict(list)
        self.requests: list[str] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def url(self, path: str) -> str:
        return f"http://{self.address}{path}"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(publisher) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.requests.append(self.path)
                faults = publisher.faults[self.path]
                fault = faults.pop(0) if faults else ""
                content = publisher.files.get(self.path)
                if fault == "silent":
                    publisher.closing.wait()
                elif fault == "reset":
                    self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                elif fault.isdigit() or content is None:
                    self.send_response(int(fault or 404))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self.send_content(content, fault)

            def send_content(self, content: bytes, fault: str) -> None:
                self.send_response(200)
                if fault != "cut-unannounced":
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if fault else content)
                self.wfile.flush()
                if fault == "stall":
                    publisher.closing.wait()

            def finish(self) -> None:
                if not self.wfile.closed and self.connection.fileno() != -1:
                    super().finish()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("CLOSEDLOOP_MIRROR", raising=False)
    server = Publisher()
    yield server
    server.close()
