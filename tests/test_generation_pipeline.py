"""A generator through the real stages: judged by a registered classifier, served by seed, watched by real images."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from running_server import RunningServer, running

from closedloop.files import read_json
from closedloop.serving.predictor import Predictor
from closedloop.tasks.base import BadRecord
from in_process import STAGES, run, watch
from test_pipeline import checkout, closedloop

JUDGE = ("trainer.max_epochs=8", "gate.min_accuracy=0.5", "gate.min_macro_f1=0.5", "gate.min_class_recall=0")
SMALL = (
    "trainer.max_epochs=25",
    "model.generator=[32,24,16]",
    "model.discriminator=[12,24]",
    "gate.max_frechet=100000",
    "gate.min_precision=0",
    "gate.min_recall=0",
    "gate.min_class_share=0",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = checkout(tmp_path_factory.mktemp("generation") / "closedloop")
    run(made, "digits", *JUDGE, stages=STAGES[: STAGES.index("traffic")])  # nobody watches the judge here
    run(made, "digits_gan", *SMALL)
    return made


def test_without_its_judge_nothing_is_trained(make_project: Any, run_stage: Any) -> None:
    project = make_project("digits_gan", *SMALL)
    for name in ("acquire", "validate", "preprocess"):
        assert run_stage(name, project).code == 0
    refused = run_stage("train", project)
    assert refused.code == 1
    assert "make run TASK=digits" in refused.err and "Traceback" not in refused.err


@pytest.fixture(scope="module")
def predictor(project: Path) -> Predictor:
    return Predictor.load(project / "models/digits_gan/trained/model.onnx", project / "models/digits_gan/preprocessor")


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[RunningServer]:
    with running(project) as answering:
        yield answering


def image(png: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(png))))


def test_it_ends_with_a_champion_and_no_drift(project: Path) -> None:
    reports = project / "reports/digits_gan"
    registered, judged = read_json(reports / "registration.json"), read_json(reports / "drift.json")
    assert registered["champion"] == 1
    assert judged["verdict"] == "clean", judged["reasons"]
    assert "accuracy" not in judged and "estimated_accuracy" not in judged
    evaluated = read_json(reports / "evaluation.json")
    metrics = {name: one["value"] for name, one in evaluated["metrics"].items()}
    assert set(metrics) == {"energy_score", "frechet", "precision", "recall", "rarest_class", "copied"}
    assert evaluated["judge"] == {"name": "digits", "version": 1, "kept_from_test_images": True}
    assert sum(evaluated["made_classes"].values()) == pytest.approx(1)
    assert min(evaluated["made_classes"].values()) == pytest.approx(metrics["rarest_class"])
    assert evaluated["frechet_of_training_images"] < metrics["frechet"]
    scores = pd.read_parquet(reports / "predictions.parquet")
    assert scores["energy_score"].mean() == pytest.approx(metrics["energy_score"])
    figures = {file.name for file in (reports / "figures").iterdir()}
    assert figures == {"training.png", "samples.png", "neighbours.png", "classes.png"}
    assert "images that it makes" in (reports / "model_card.md").read_text()


def test_each_epoch_leaves_a_picture_in_its_run(project: Path) -> None:
    run = read_json(project / "models/digits_gan/run.json")["run_id"]
    pictures = sorted((project / "mlartifacts/digits_gan" / run / "artifacts/images").glob("made*.png"))
    assert len(pictures) == 25
    assert Image.open(pictures[0]).size == (71, 71)


def test_inverted_images_are_found(project: Path) -> None:
    assert watch(project, "traffic.scenario=inversion", "traffic.severity=3")["verdict"] == "drift"


def test_a_seed_makes_the_same_images_however_many_are_asked_for(predictor: Predictor) -> None:
    few, many, other = predictor.answer([{"seed": 5, "count": 2}, {"seed": 5, "count": 20}, {"seed": 6, "count": 2}])
    assert few["images"] == many["images"][:2] != other["images"]
    assert len(set(many["images"])) == 20
    assert image(few["images"][0]).shape == (8, 8)
    assert 0 < few["realism"] < 1


def test_realism_is_of_the_image_that_is_sent_and_else_of_those_that_are_made(predictor: Predictor) -> None:
    made = predictor.answer([{"seed": 1, "count": 3}])[0]
    sent = [predictor.answer([{"image": png, "count": 0}])[0] for png in made["images"]]
    assert all(answer["images"] == [] for answer in sent)
    # PNG has whole levels: what is sent back differs by half a level at most
    assert np.mean([answer["realism"] for answer in sent]) == pytest.approx(made["realism"], abs=0.02)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"count": 0}, "count"),
        ({"count": 65}, "count"),
        ({"count": 1.5}, "count"),
        ({"count": True}, "count"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": "x"}, "seed"),
        ({"image": [[0] * 7] * 8}, "image"),
        ({"temperature": 1}, ""),
    ],
)
def test_what_is_wrong_with_a_request_is_named(predictor: Predictor, wrong: dict[str, object], field: str) -> None:
    with pytest.raises(BadRecord) as told:
        predictor.answer([wrong])
    assert told.value.field == field


def test_the_server_makes_images_at_once_and_as_a_stream(server: RunningServer) -> None:
    ask = {"seed": 3, "count": 4}
    whole = server.post("/predict", ask)
    assert whole.status == 200 and len(whole.json["images"]) == 4
    reply = server.post("/predict", ask, {"Accept": "text/event-stream"})
    blocks = [block.split("\n") for block in reply.body.decode().split("\n\n")[:-1]]
    assert [name.removeprefix("event: ") for name, _ in blocks] == ["prediction", *["images"] * 4, "end"]
    told = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [one["images"][0] for one in told[1:-1]] == whole.json["images"]
    assert told[0]["realism"] == whole.json["realism"]
    many = server.post("/predict", {"examples": [ask, {"seed": 4}]})
    assert [len(answer["images"]) for answer in many.json["predictions"]] == [4, 1]
    refused = server.post("/predict", {"seed": 3, "count": 1000})
    assert refused.status == 422 and refused.json["field"] == "count"
    refused = server.post("/predict", {"examples": [{"count": 64}] * 256})
    assert refused.status == 422 and refused.json["field"] == "examples[1].count"
    assert "64 images" in refused.json["detail"]


def test_the_model_is_shown_without_what_images_do_not_have(server: RunningServer) -> None:
    model = server.get("/model").json
    assert model["example"] == {"seed": 1, "count": 4} and "image" not in model
    document = server.get("/openapi.json").json["components"]["schemas"]["Model"]
    assert set(document["required"]) == set(model)


@pytest.mark.parametrize("command", ["retrain", "drill"])
def test_without_labels_nothing_is_learnt_from_traffic(project: Path, command: str) -> None:
    finished = closedloop(project, command)
    assert finished.returncode == 2
    assert "no labels" in finished.stderr and "Traceback" not in finished.stderr


@pytest.mark.parametrize("override", ["log.inputs=omit", "traffic=log"])
def test_what_no_noise_can_tell_is_refused(project: Path, override: str) -> None:
    finished = closedloop(project, "params", "--task", "digits_gan", override)
    assert finished.returncode == 2
    assert "task.target image" in finished.stderr


@pytest.mark.parametrize("change", [("digits_gan", "evaluation.judge=null"), ("digits", "+evaluation.judge=digits")])
def test_a_judge_is_named_where_there_is_something_to_judge(project: Path, change: tuple[str, str]) -> None:
    finished = closedloop(project, "params", "--task", *change)
    assert finished.returncode == 2
    assert "evaluation.judge" in finished.stderr and "Traceback" not in finished.stderr
