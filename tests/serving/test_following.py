"""The real server under load while the alias moves: every request is answered, by one version from start to end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import onnx
import pytest
from running_server import MakeServer, RunningServer, image

from closedloop.data.examples import LABEL
from closedloop.judging import PROMOTED, judge
from closedloop.paths import Paths
from closedloop.registry import aliases
from closedloop.registry.challenge import challenge
from closedloop.tasks.images.request import pixels
from registered_digits import Registry, digits

PATIENCE = 60.0  # seconds; a machine may be slow


@dataclass
class Load:
    """What a few clients have seen."""

    statuses: set[int] = field(default_factory=set)
    versions: list[int] = field(default_factory=list)  # of the answers, as they came


@contextmanager
def load(server: RunningServer, clients: int = 2) -> Iterator[Load]:
    """Clients that ask on and on, each on new connections."""
    seen, ended = Load(), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            reply = server.post("/predict", {"image": image(0)})
            seen.statuses.add(reply.status)
            seen.versions.append(reply.json.get("version"))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def wait_for(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def test_every_move_of_the_alias_is_followed_and_no_request_fails(registry: Registry, make_server: MakeServer) -> None:
    server = make_server("serving.poll_seconds=0.1")
    second, broken = registry.add("weak"), registry.add("strong")
    (registry.folder(broken) / "artifacts/model.onnx").write_bytes(b"half copied")
    moves: list[tuple[Callable[[], object], int]] = [
        (lambda: aliases.promote(registry.params, second), second),
        (lambda: registry.point("champion", broken), second),
        (lambda: registry.point("champion", 1), 1),
        (lambda: registry.point("champion", second), second),
    ]
    with load(server) as seen:
        for move, expected in moves:
            move()
            wait_for(lambda expected=expected: seen.versions[-3:] == [expected] * 3, f"version {expected}")  # type: ignore[misc]
            if move is moves[1][0]:
                wait_for(lambda: server.get("/readyz").json["problem"] is not None, "a problem")
                problem = server.get("/readyz").json["problem"]
                assert f"version {broken} does not load" in problem
                assert f"version {second} goes on answering" in problem
    assert seen.statuses == {200}
    assert broken not in seen.versions
    wait_for(lambda: server.get("/readyz").json["problem"] is None, "no problem")


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_a_better_challenger_goes_from_live_traffic_to_champion_without_a_restart(
    registry: Registry, make_server: MakeServer, mode: str
) -> None:
    server = make_server(f"serving.challenger={mode}", "serving.canary_share=0.4", "serving.poll_seconds=0.1")
    weak, strong = registry.add("weak"), 1
    registry.point("champion", weak)
    challenge(registry.params, strong)
    wait_for(lambda: (server.get("/model").json.get("challenger") or {}).get("version") == strong, "the challenger")
    labels = []
    later = digits(1300, 1750)
    images, truth = pixels(later).tolist(), later.column(LABEL).to_pylist()
    for start in [*range(0, 450, 5)] * 2:
        asked = slice(start, start + 5)
        answers = server.post("/predict", {"examples": [{"image": one} for one in images[asked]]}).json["predictions"]
        assert len({answer["version"] for answer in answers}) == 1
        assert mode == "canary" or answers[0]["version"] == weak
        labels += [{"id": answer["id"], "label": name} for answer, name in zip(answers, truth[asked], strict=True)]
    assert server.post("/feedback", {"labels": labels}).status == 200
    wait_for(lambda: judge(registry.params, Paths("digits"))["verdict"] == PROMOTED, "the verdict")
    wait_for(lambda: server.get("/model").json["version"] == strong, "the new champion")
    assert server.get("/model").json.get("challenger") is None


def test_a_canary_that_fails_costs_nobody_the_answer(registry: Registry, make_server: MakeServer) -> None:
    failing = registry.add("strong")
    take_only_two(registry, failing)
    server = make_server("serving.challenger=canary", "serving.canary_share=0.9", "serving.poll_seconds=0.1")
    challenge(registry.params, failing)
    wait_for(lambda: (server.get("/model").json.get("challenger") or {}).get("version") == failing, "the challenger")
    replies = [server.post("/predict", {"examples": [{"image": image(row)}] * 3}) for row in range(30)]
    assert {reply.status for reply in replies} == {200}
    assert {answer["version"] for reply in replies for answer in reply.json["predictions"]} == {1}
    assert server.events("canary_failed")
    assert server.post("/predict", {"image": "nothing"}).status == 422


def take_only_two(registry: Registry, version: int) -> None:
    """Have a model take exactly two examples at once: as many as it is tried out with."""
    file = registry.folder(version) / "artifacts/model.onnx"
    model = onnx.load(file)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(model, file)
    registry.client.delete_model_version_tag("digits", str(version), "digest")
