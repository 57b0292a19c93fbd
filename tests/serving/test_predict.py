"""What /predict answers is what the model says, and it is in the log."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from running_server import MakeServer, RunningServer, image, label

from closedloop.config import load
from closedloop.prediction_log import reading
from closedloop.prediction_log.store import open_log
from closedloop.registry.watch import model_files
from closedloop.serving.predictor import Predictor
from closedloop.tasks.images.request import encode_png, pixels
from registered_digits import Registry, digits


def rows_of(server: RunningServer, ids: list[str]) -> dict[str, Any]:
    with contextlib.closing(sqlite3.connect(server.root / "predictions.db")) as log:
        log.row_factory = sqlite3.Row
        marks = ",".join("?" * len(ids))
        found = log.execute(f"SELECT * FROM predictions WHERE id IN ({marks})", ids)  # noqa: S608
        return {row["id"]: dict(row) for row in found}


def test_one_example_is_answered_and_logged(server: RunningServer) -> None:
    reply = server.post("/predict", {"image": image(0)})
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    answer = reply.json
    assert list(answer) == ["id", "version", "class", "confidence", "probabilities"]
    assert (answer["version"], answer["class"]) == (1, label(0))
    assert answer["confidence"] == answer["probabilities"][answer["class"]] == max(answer["probabilities"].values())
    logged = rows_of(server, [answer["id"]])[answer["id"]]
    assert json.loads(logged["request"]) == {"image": image(0)}
    assert json.loads(logged["probabilities"]) == list(answer["probabilities"].values())
    assert (logged["task"], logged["version"], logged["role"]) == ("digits", 1, "champion")
    assert (logged["prediction"], logged["confidence"]) == (answer["class"], answer["confidence"])
    assert 0 < logged["latency_ms"] < 60_000


@pytest.mark.parametrize("count", [1, 3, 16])  # in the event loop and in another thread
def test_many_examples_are_answered_in_their_order_as_the_model_does(
    server: RunningServer, packaged_digits: tuple[Path, dict[str, Path]], count: int
) -> None:
    table = digits(1400, 1400 + count)
    examples = [{"image": rows.tolist()} for rows in pixels(table)]
    examples[0] = {"image": encode_png(pixels(table)[0])}
    answers = server.post("/predict", {"examples": examples}).json["predictions"]
    expected = Predictor.load(*model_files(packaged_digits[1]["strong"])).answers(table)
    found = [list(answer["probabilities"].values()) for answer in answers]
    assert np.allclose(found, expected, atol=1e-6)
    ids = [answer["id"] for answer in answers]
    assert len(set(ids)) == count
    assert rows_of(server, ids).keys() == set(ids)


def test_the_process_is_small_and_maps_neither_torch_nor_pandas(server: RunningServer) -> None:
    server.post("/predict", {"examples": [{"image": image(row)} for row in range(16)]})
    process = psutil.Process(server.process.pid)
    everybody = [process, *process.children(recursive=True)]
    assert sum(each.memory_info().rss for each in everybody) < 200e6
    mapped = " ".join(area.path for area in process.memory_maps())
    assert "onnxruntime" in mapped
    for heavy in ("/torch/", "/pandas/", "/scipy/", "/matplotlib/"):
        assert heavy not in mapped


def test_a_challenger_answers_for_the_log_alone_and_requests_are_counted(
    make_server: MakeServer, registry: Registry
) -> None:
    registry.point("challenger", registry.add("weak"))
    server = make_server("serving.challenger=shadow")
    answers = [server.post("/predict", {"image": image(row)}).json for row in range(5)]
    assert {answer["version"] for answer in answers} == {1}
    assert server.post("/predict", {"image": 1}).status == 422
    assert server.get("/healthz").status == 200
    assert server.stop() == 0
    with contextlib.closing(sqlite3.connect(server.root / "predictions.db")) as log:
        shadows = dict(log.execute("SELECT prediction_id, version FROM shadows").fetchall())
    assert shadows == {answer["id"]: 2 for answer in answers}
    with contextlib.chdir(server.root):
        engine = open_log(load())
    assert reading.request_counts(engine, "digits", 0, 2**62) == {200: 5, 422: 1}
