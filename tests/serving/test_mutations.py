"""Bodies that are almost right: never a 5xx, never a hang."""

import contextlib
import http.client
import json
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from running_server import HOST, PATIENCE, RunningServer, image

from closedloop.prediction_log.ids import new_id
from closedloop.tasks.images.request import encode_png

TOKENS = [
    *(b"null", b"true", b"-1", b"256", b"1e400", b"NaN", b"0.5", b"1e2", b"9" * 400, b'""', b"[]", b"{}"),
    *(b"[[", b"]]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\x00", b"\xff", b"\xef\xbb\xbf"),
    *(b'"image":', b'"examples":', b'"id":', b'"label":', b'"labels":', b"\r\n", b"id,label\n", b"/*", b"'"),
]


def seeds() -> list[tuple[str, str, bytes]]:
    """Right bodies of every kind: (path, content type, body)."""
    rows, png = {"image": image(0)}, {"image": encode_png(np.array(image(1), np.uint8))}
    label = {"id": new_id(), "label": "3"}
    line = f"{label['id']},3\n"
    asked = [rows, png, {"examples": [rows, png, rows]}]
    return [
        *(("/predict", "application/json", json.dumps(content).encode()) for content in asked),
        *(("/feedback", "application/json", json.dumps(content).encode()) for content in (label, {"labels": [label]})),
        ("/feedback", "text/csv", f"id,label\n{line}{line}".encode()),
        ("/feedback", "application/x-ndjson", (json.dumps(label) + "\n").encode() * 2),
    ]


def cut(body: bytes, rng: random.Random) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def drop(body: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(body) + 1)
    return body[:start] + body[start + rng.randrange(1, 20) :]


def flip(body: bytes, rng: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randrange(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def insert(body: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(body) + 1)
    return body[:place] + rng.choice(TOKENS) * rng.choice([1, 1, 1, 2, 500]) + body[place:]


def replace(body: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(body) + 1)
    return body[:start] + rng.choice(TOKENS) + body[start + rng.randrange(1, 8) :]


def repeat(body: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(body) + 1)
    piece = body[start : start + rng.randrange(1, 200)]
    return body[:start] + piece * rng.randrange(2, 6) + body[start:]


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [cut, drop, flip, insert, replace, repeat]


def mutated(count: int, seed: int) -> list[tuple[str, str, bytes]]:
    rng, known = random.Random(seed), seeds()
    changed = []
    for _ in range(count):
        path, kind, body = rng.choice(known)
        for _ in range(rng.choice([1, 1, 2, 3])):
            body = rng.choice(MUTATIONS)(body, rng)
        changed.append((path, kind, body))
    return changed


def statuses(server: RunningServer, requests: list[tuple[str, str, bytes]]) -> Counter[int]:
    """How the requests are answered, one after the other on one connection; a hang fails by time."""
    seen: Counter[int] = Counter()
    with contextlib.closing(http.client.HTTPConnection(HOST, server.port, timeout=PATIENCE)) as connection:
        for path, kind, body in requests:
            connection.request("POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            content = json.loads(answer.read())
            assert answer.status < 500, (path, kind, body, content)
            assert answer.status == 200 or content["detail"]
            seen[answer.status] += 1
    return seen


def test_hundreds_of_mutated_bodies(server: RunningServer) -> None:
    seen = statuses(server, mutated(600, seed=1))
    assert seen[400] > 50
    assert seen[422] > 50
    assert server.get("/readyz").status == 200


@pytest.mark.slow
def test_ten_thousand_mutated_bodies(server: RunningServer) -> None:
    seen = statuses(server, mutated(10_000, seed=2))
    assert seen.total() == 10_000
    assert set(seen) <= {200, 400, 404, 413, 422}
    assert not server.events("failed")
    assert server.get("/readyz").status == 200
