"""The bounds that connections keep to, whatever the application does."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest
import uvicorn
from running_server import HOST, PATIENCE, RunningServer
from uvicorn.server import ServerState

from closedloop.serving import protocol
from closedloop.serving.protocol import Protocol

ASSET = "/docs/swagger-ui-bundle.js"
GET = f"GET {ASSET} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
LARGE, SMALL = b"x" * 8_000_000, b"x" * 100


def reluctant(port: int) -> socket.socket:
    """A connection that asks, and reads nothing of the answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE)
    client.connect((HOST, port))
    client.sendall(GET * 3)  # the kernel alone takes more than one answer
    return client


def on_server(content: bytes, work: Callable[[int, ServerState], Awaitable[None]]) -> None:
    """Do some work with the port and the state of a server that answers everything with the content."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    with_application(app, work)


def with_application(app: Any, work: Callable[[int, ServerState], Awaitable[None]]) -> None:
    async def main() -> None:
        config, state = uvicorn.Config(app, log_config=None), ServerState()
        config.load()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Protocol(config=config, server_state=state, app_state={}), HOST, 0)
        async with server:
            await work(server.sockets[0].getsockname()[1], state)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_who_does_not_read_the_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Protocol, "seconds", 0.1)

    async def work(port: int, state: ServerState) -> None:
        with reluctant(port):
            while not state.connections:
                await asyncio.sleep(0.01)
            while state.connections:
                await asyncio.sleep(0.01)

    on_server(LARGE, work)


def test_who_reads_slowly_gets_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Protocol, "seconds", 0.5)

    async def work(port: int, _state: ServerState) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        left = len(LARGE)
        while left:  # 400,000 bytes a time, twenty times in all
            left -= len(await reader.readexactly(min(left, 400_000)))
            await asyncio.sleep(0.1)
        writer.close()

    on_server(LARGE, work)


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_client_that_hung_up_is_told_to_whichever_of_its_requests_is_answered(answered: int) -> None:
    begun = 0

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        if begun <= answered:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
        while (await receive())["type"] != "http.disconnect":
            pass

    async def work(port: int, state: ServerState) -> None:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(GET * 3)
        while begun <= answered:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while state.tasks:
            await asyncio.sleep(0.01)

    with_application(app, work)
    assert begun == answered + 1  # nothing is answered that nobody waits for


def test_connections_beyond_the_most_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 3)

    async def ask(port: int) -> tuple[bytes, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(GET)
        return (await reader.readline())[9:12], writer

    async def work(port: int, state: ServerState) -> None:
        asked = [await ask(port) for _ in range(5)]
        assert [status for status, _ in asked] == [b"200"] * 3 + [b"503"] * 2
        for _, writer in asked:
            writer.close()
        while state.connections:
            await asyncio.sleep(0.01)
        assert (await ask(port))[0] == b"200"

    on_server(SMALL, work)


def test_what_many_have_not_read_takes_memory_once(server: RunningServer) -> None:
    process, crowd = psutil.Process(server.process.pid), 40
    size = len(server.get(ASSET).body)
    before = process.memory_info().rss
    with contextlib.ExitStack() as stack:
        for _ in range(crowd):
            stack.enter_context(reluctant(server.port)).recv(1)  # the answer has begun
        assert process.memory_info().rss - before < crowd * size / 4
