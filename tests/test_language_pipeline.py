"""A language model through the real stages: from the file to a champion, and shouting seen."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from running_server import RunningServer, running

from closedloop.files import read_json
from closedloop.serving.predictor import Predictor
from closedloop.tasks.base import BadRecord
from in_process import run, watch
from test_pipeline import checkout, closedloop

SMALL = ("model.hidden=32", "model.width=16", "trainer.max_epochs=2", "gate.max_nats=3", "trainer.threads=1")
MIRROR = Path(os.environ.get("CLOSEDLOOP_MIRROR", "")) / "tinyshakespeare.txt"
pytestmark = pytest.mark.skipif(not MIRROR.is_file(), reason="needs CLOSEDLOOP_MIRROR with tinyshakespeare.txt")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = checkout(tmp_path_factory.mktemp("language") / "closedloop")
    run(made, "tinyshakespeare", *SMALL)
    return made


@pytest.fixture(scope="module")
def predictor(project: Path) -> Predictor:
    return Predictor.load(
        project / "models/tinyshakespeare/trained/model.onnx", project / "models/tinyshakespeare/preprocessor"
    )


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[RunningServer]:
    with running(project) as answering:
        yield answering


def test_it_ends_with_a_champion_and_no_drift(project: Path) -> None:
    reports = project / "reports/tinyshakespeare"
    registered, judged = read_json(reports / "registration.json"), read_json(reports / "drift.json")
    assert registered["champion"] == 1
    assert judged["verdict"] == "clean", judged["reasons"]
    assert "accuracy" not in judged and judged["nats"]["value"] > 0
    evaluated = read_json(reports / "evaluation.json")
    metrics = {name: one["value"] for name, one in evaluated["metrics"].items()}
    assert metrics["bits"] == pytest.approx(metrics["nats"] / np.log(2))
    assert metrics["perplexity"] == pytest.approx(np.exp(metrics["nats"]))
    assert metrics["nats"] < 3.3  # what counting single characters comes to
    assert set(evaluated["baseline"]["gains"]) == {"nats"}
    figures = {file.name for file in (reports / "figures").iterdir()}
    assert figures == {"training.png", "surprise.png", "samples.png", "samples.txt"}
    card = (reports / "model_card.md").read_text()
    assert "how a text goes on" in card and "recall" not in card
    assert "test nats a character " in closedloop(project, "summary").stdout


def test_shouting_is_found(project: Path) -> None:
    report = watch(project, "traffic.scenario=shouting", "traffic.severity=5")
    assert report["verdict"] == "drift"
    assert any("nats a character" in reason for reason in report["reasons"])


def test_the_same_seed_writes_the_same_and_another_one_something_else(predictor: Predictor) -> None:
    ask = {"prompt": "To be", "length": 60, "temperature": 1, "seed": 1}
    one, again, other = predictor.answer([ask, ask, {**ask, "seed": 2}])
    assert one == again and one["text"] != other["text"] and len(one["text"]) == 60
    assert one["nats"] == other["nats"] > 0


def test_the_state_carries_what_came_before(predictor: Predictor) -> None:
    """A text that is read in two pieces is as surprising as one that is read at once."""
    text, session = "What's in a name?", predictor.session
    inputs = predictor.preprocessor.inputs([{"prompt": text, "length": 0}])
    start = {one.name: np.zeros((1, *one.shape[1:]), np.float32) for one in session.get_inputs()[2:]}
    whole = session.run(None, {**inputs, **start})
    first = session.run(None, {**{name: array[:, :7] for name, array in inputs.items()}, **start})
    state = dict(zip(start, first[2:], strict=True))
    rest = session.run(None, {**{name: array[:, 7:] for name, array in inputs.items()}, **state})
    np.testing.assert_allclose(np.concatenate([first[1], rest[1]], axis=1), whole[1], atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"prompt": "x", "length": -1}, "length"),
        ({"prompt": "x", "length": 2.5}, "length"),
        ({"prompt": "x", "length": 1001}, "length"),
        ({"prompt": "x", "temperature": "hot"}, "temperature"),
        ({"prompt": "x", "temperature": 5.1}, "temperature"),
        ({"prompt": "x", "seed": True}, "seed"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(predictor: Predictor, wrong: dict[str, object], field: str) -> None:
    with pytest.raises(BadRecord) as told:
        predictor.answer([wrong])
    assert told.value.field == field


def test_the_gate_must_be_one_of_texts(project: Path) -> None:
    finished = closedloop(project, "params", "--task", "tinyshakespeare", "gate=default")
    assert finished.returncode == 2
    assert "choose gate=text" in finished.stderr


@pytest.mark.parametrize("command", ["retrain", "drill"])
def test_without_labels_nothing_is_learnt_from_traffic(project: Path, command: str) -> None:
    finished = closedloop(project, command)
    assert finished.returncode == 2
    assert "no labels" in finished.stderr and "Traceback" not in finished.stderr


ASK = {"prompt": "To be", "length": 50, "temperature": 0.8, "seed": 1}


def events(body: bytes) -> list[tuple[str, dict[str, object]]]:
    """The server-sent events of a body: their names and what they tell."""
    found = []
    for block in body.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_a_stream_tells_the_same_text_in_pieces_and_is_in_the_log(server: RunningServer) -> None:
    whole = server.post("/predict", ASK)
    assert whole.status == 200 and len(whole.json["text"]) == 50
    reply = server.post("/predict", ASK, {"Accept": "text/event-stream"})
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/event-stream")
    (first, told), *pieces, (last, _) = events(reply.body)
    assert (first, last) == ("prediction", "end") and len(pieces) > 1
    assert "".join(str(piece["text"]) for _, piece in pieces) == whole.json["text"]
    assert told["nats"] == whole.json["nats"]
    with contextlib.closing(sqlite3.connect(server.root / "predictions.db")) as log:
        logged = dict(log.execute("SELECT id, prediction FROM predictions").fetchall())
    assert logged[told["id"]] == ""
    assert logged[whole.json["id"]] == whole.json["text"]


def test_streams_are_of_one_example_and_documented(server: RunningServer) -> None:
    refused = server.post("/predict", {"examples": [ASK, ASK]}, {"Accept": "text/event-stream"})
    assert refused.status == 422 and refused.json["field"] == "examples"
    wrong = server.post("/predict", {**ASK, "length": -1}, {"Accept": "text/event-stream"})
    assert wrong.status == 422 and wrong.json["field"] == "length"
    answers = server.get("/openapi.json").json["paths"]["/predict"]["post"]["responses"]["200"]["content"]
    assert "text/event-stream" in answers
