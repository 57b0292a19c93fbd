"""Every bad request gets a 4xx that says which field and why, and repeats nothing of what was sent."""

import base64
import contextlib
import io
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running_server import HOST, JSON, PATIENCE, Reply, RunningServer, image

SECRET = "Geheimnis"  # noqa: S105
GOOD = json.dumps({"image": image(0)}).encode()
DEEP = b"[" * 900 + b"]" * 900


def png(width: int, height: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width), np.uint8)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def refused(reply: Reply, status: int, field: str, reason: str) -> None:
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json"), reply.body
    problem = reply.json
    assert problem["status"] == status
    assert problem.get("field", "") == field
    assert reason in problem["detail"]
    assert SECRET not in reply.body.decode()


@pytest.mark.parametrize(
    ("body", "status", "field", "reason"),
    [
        (b"", 400, "body", "it is empty"),
        (b'{"image": [[1, 2,', 400, "body", "line 1"),
        (b'{"image": [[NaN]]}', 400, "body", "not JSON"),
        (b'{"image": [[Infinity]]}', 400, "body", "not JSON"),
        (b'{"image": [[1e999]]}', 400, "body", "not JSON"),
        (b'{"image": [[' + b"9" * 5000 + b"]]}", 400, "body", "not JSON"),
        (b'{"image": "\xff\xfe"}', 400, "body", "not JSON"),
        (b'{"image": "\\ud800"}', 400, "body", "not JSON"),
        (b"[" * 100_000, 400, "body", "not JSON"),
        (b'{"image": ' + DEEP + b"}", 422, "image", "found 1 rows"),
        (b'{"image": 1, "image": [[1]]}', 400, "body", "twice"),
        (b'{"image": 1, "\\u0069mage": [[1]]}', 400, "body", "twice"),
        (b'{"examples": [{"image": 1, "image": 2}]}', 400, "body", "twice"),
        (b"null", 422, "body", "must be a JSON object"),
        (b'"Geheimnis"', 422, "body", "must be a JSON object"),
        (b"[]", 422, "body", "must be a JSON object"),
        (b"{}", 422, "body", "exactly one field, 'image'"),
        (b'{"Geheimnis": 1}', 422, "body", "exactly one field, 'image'"),
        (b'{"image": [[1]], "Geheimnis": 1}', 422, "body", "exactly one field, 'image'"),
        (b'{"image": "Geheimnis"}', 422, "image", "not a base64-encoded PNG"),
        (b'{"image": 17}', 422, "image", "expected 8 rows of 8 pixels"),
        (b'{"image": [["Geheimnis"]]}', 422, "image", "found 1 rows"),
        (b'{"image": "%s"}' % png(9, 8).encode(), 422, "image", "the PNG has 8 of 9"),
        (GOOD.replace(b"[0,", b"[256,", 1), 422, "image", "pixel 0 is no whole number"),
        (GOOD.replace(b"[0,", b"[true,", 1), 422, "image", "pixel 0 is no whole number"),
        (GOOD.replace(b"[0,", b"[18446744073709551615,", 1), 422, "image", "pixel 0 is no whole number"),
        (GOOD.replace(b"[0,", b"[1e30,", 1), 422, "image", "pixel 0 is no whole number"),
        (b'{"examples": []}', 422, "examples", "at least one"),
        (b'{"examples": "Geheimnis"}', 422, "examples", "at least one"),
        (b'{"examples": {}}', 422, "examples", "at least one"),
        (b'{"examples": [%s], "more": 1}' % GOOD, 422, "body", "stands alone"),
        (b'{"examples": [%s, 3]}' % GOOD, 422, "examples[1]", "exactly one field"),
        (b'{"examples": [%s, {"image": 3}]}' % GOOD, 422, "examples[1].image", "expected 8 rows"),
        (b'{"examples": [%s]}' % b",".join([GOOD] * 17), 422, "examples", "17 examples, at most 16"),
    ],
)
def test_a_bad_prediction_request_is_told_why(
    server: RunningServer, body: bytes, status: int, field: str, reason: str
) -> None:
    refused(server.ask("POST", "/predict", body, JSON), status, field, reason)


def test_what_nests_deeper_than_a_parser_goes_is_refused(server: RunningServer) -> None:
    for depth in (900, 1010, 1100):
        body = b'{"a": {"b": %s%s}}' % (b"[" * depth, b"]" * depth)
        assert server.ask("POST", "/predict", body, JSON).status in (400, 422)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json; a=b; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_other_content_is_415(server: RunningServer, headers: dict[str, str]) -> None:
    field = "header Content-Encoding" if "Content-Encoding" in headers else "header Content-Type"
    refused(server.ask("POST", "/predict", GOOD, headers), 415, field, "")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", 'Application/JSON; charset="UTF-8"'])
def test_the_same_content_type_in_other_words_is_taken(server: RunningServer, kind: str) -> None:
    assert server.ask("POST", "/predict", GOOD, {"Content-Type": kind}).status == 200


def test_unknown_routes_and_methods(server: RunningServer) -> None:
    refused(server.get(f"/{SECRET}"), 404, "", "no such route")
    refused(server.get(f"/docs/{SECRET}"), 404, "", "no such page")
    refused(server.get("/docs/..%2f..%2fpackage.json"), 404, "", "no such")
    wrong = server.get("/predict")
    refused(wrong, 405, "", "Allow")
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]"])
def test_a_page_that_means_this_machine_by_another_name_is_refused(server: RunningServer, host: str) -> None:
    refused(server.get("/model", {"Host": host}), 421, "header Host", "")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:8000", "models.example"])
def test_this_machine_may_be_called_by_all_its_names(server: RunningServer, host: str) -> None:
    assert server.get("/model", {"Host": host}).status == 200


def raw(server: RunningServer, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send parts with pauses between, for as long as the server takes them; all that comes back."""
    with socket.create_connection((HOST, server.port), timeout=PATIENCE) as connection:
        with contextlib.suppress(OSError):  # the server may have hung up by then
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                answer += data
        return answer


def head(server: RunningServer, *lines: str) -> bytes:
    fixed = ["POST /predict HTTP/1.1", f"Host: {HOST}:{server.port}", "Content-Type: application/json"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


LAST = f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()  # so that the server hangs up


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


def test_a_body_that_is_announced_as_too_large_is_413_before_it_is_sent(server: RunningServer) -> None:
    answer = raw(server, head(server, "Content-Length: 200001", "Connection: close"))
    assert status_of(answer) == 413
    assert b'"limit_bytes":200000' in answer


@pytest.mark.parametrize("length", ["9" * 30, "99999999999999999999999"])
def test_absurd_lengths_are_refused(server: RunningServer, length: str) -> None:
    assert status_of(raw(server, head(server, f"Content-Length: {length}", "Connection: close"))) in (400, 413)


def test_a_body_in_chunks_is_counted_as_it_comes(server: RunningServer) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer = raw(server, head(server, "Transfer-Encoding: chunked"), *[chunk] * 4, b"0\r\n\r\n" + LAST)
    assert status_of(answer) == 413
    whole = f"{len(GOOD):x}\r\n".encode() + GOOD + b"\r\n0\r\n\r\n"
    assert status_of(raw(server, head(server, "Transfer-Encoding: chunked", "Connection: close"), whole)) == 200


def test_who_is_too_slow_is_told_so_and_cut_off(server: RunningServer) -> None:
    """All at once, as each takes seconds."""
    slow = {
        "body": (head(server, f"Content-Length: {len(GOOD)}"), *[b" "] * 8),
        "head": (b"POST /predict HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 14),
        "silence": (),
    }
    with ThreadPoolExecutor(3) as pool:
        started = {name: pool.submit(raw, server, *parts, pause=0.4) for name, parts in slow.items()}
        answers = {name: answer.result() for name, answer in started.items()}
    assert {status_of(answer) for answer in answers.values()} == {408}
    assert b"did not arrive within 2 s" in answers["body"]


def test_a_head_without_end_is_431(server: RunningServer) -> None:
    answer = raw(server, b"POST /predict HTTP/1.1\r\n", *[b"X-A: " + b"b" * 8192 + b"\r\n"] * 80)
    assert answer == b"" or status_of(answer) == 431  # what it sent after that may have reset the connection
    assert server.get("/healthz").status == 200


def test_what_is_no_http_is_400(server: RunningServer) -> None:
    assert status_of(raw(server, f"{SECRET}\r\n\r\n".encode())) == 400


def test_the_log_has_a_line_a_request_without_payload_or_names_of_unknown_routes(server: RunningServer) -> None:
    marked = {"X-Request-ID": "a.b-c_1"}
    answer = server.post("/predict", {"image": SECRET}, marked)
    assert answer.headers["x-request-id"] == "a.b-c_1"
    forged = server.post("/predict", {"image": image(0)}, {"X-Request-ID": 'x"} {"event": "forged'})
    assert re.fullmatch(r"[0-9a-f]{12}-\d+", forged.headers["x-request-id"])
    server.get(f"/{SECRET}?{SECRET}")
    lines: dict[str, dict[str, Any]] = {line["id"]: line for line in server.events("request")}
    everything = (server.root / "server.log").read_text() + (server.root / "server.err").read_text()
    assert SECRET not in everything
    assert "forged" not in everything
    line = lines["a.b-c_1"]
    assert (line["method"], line["route"], line["status"], line["level"]) == ("POST", "/predict", 422, "info")
    told = lines[forged.headers["x-request-id"]]
    assert (told["version"], told["examples"], told["status"]) == (1, 1, 200)
    assert 0 < told["ms"] < 60_000
    assert not server.events("failed")
