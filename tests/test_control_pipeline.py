"""A policy through the real stages: from episodes to a champion that acts, and other physics seen."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running_server import RunningServer, running

from closedloop.data.examples import read_examples
from closedloop.evaluation.control import visited
from closedloop.files import read_json
from closedloop.serving.predictor import Predictor
from closedloop.tasks.control.cartpole import OBSERVATION
from in_process import run, watch
from test_pipeline import checkout, closedloop

SMALL = ("trainer.max_epochs=6", "source.format.count=1000", "gate.min_return=300", "monitor.min_rows=60")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = checkout(tmp_path_factory.mktemp("control") / "closedloop")
    run(made, "cartpole", *SMALL)
    return made


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[RunningServer]:
    with running(project) as answering:
        yield answering


def test_it_ends_with_a_champion_and_no_drift(project: Path) -> None:
    reports = project / "reports/cartpole"
    registered, judged = read_json(reports / "registration.json"), read_json(reports / "drift.json")
    assert registered["champion"] == 1
    assert judged["verdict"] == "clean", judged["reasons"]
    assert judged["return"]["value"] > 300 and "accuracy" not in judged
    evaluated = read_json(reports / "evaluation.json")
    assert set(evaluated["metrics"]) == {"return", "whole_episodes"}
    assert evaluated["examples"] == 200
    assert evaluated["baseline"]["name"] == "a rule by hand"
    assert evaluated["baseline"]["gains"]["return"]["gain"] == pytest.approx(
        evaluated["metrics"]["return"]["value"] - evaluated["baseline"]["metrics"]["return"]["value"]
    )
    answers = pd.read_parquet(reports / "predictions.parquet")
    assert answers["return"].mean() == pytest.approx(evaluated["metrics"]["return"]["value"])
    assert {file.name for file in (reports / "figures").iterdir()} == {"training.png", "returns.png", "episodes.png"}
    assert "what to do next: left, right" in (reports / "model_card.md").read_text()
    assert "test return of an episode" in closedloop(project, "summary").stdout


def test_the_reference_is_what_the_policy_comes_through(project: Path) -> None:
    """And not where episodes begin: production sees all of an episode."""
    reference = pd.read_parquet(project / "reports/cartpole/reference.parquet")
    assert len(reference) == 200
    assert reference["cart_position"].abs().max() > 0.06  # where no episode begins
    assert reference["label"].isna().all()


@pytest.mark.parametrize("scenario", ["gravity", "pole_length"])
def test_other_physics_are_found(project: Path, scenario: str) -> None:
    assert watch(project, f"traffic.scenario={scenario}", "traffic.severity=5")["verdict"] == "drift"


@pytest.mark.parametrize("command", ["retrain", "drill"])
def test_without_labels_nothing_is_learnt_from_traffic(project: Path, command: str) -> None:
    finished = closedloop(project, command)
    assert finished.returncode == 2
    assert "no label says" in finished.stderr and "Traceback" not in finished.stderr


def test_the_server_says_what_to_do(project: Path, server: RunningServer) -> None:
    falling = dict(zip(OBSERVATION, (0.0, 0.0, 0.15, 1.0), strict=True))
    other = {name: -value for name, value in falling.items()}
    reply = server.post("/predict", {"examples": [falling, other]})
    assert reply.status == 200
    told = [answer["action"] for answer in reply.json["predictions"]]
    assert told == ["right", "left"]  # below the pole
    predictor = Predictor.load(project / "models/cartpole/trained/model.onnx", project / "models/cartpole/preprocessor")
    rows = predictor.predict([falling, other])
    for answer, row in zip(reply.json["predictions"], rows, strict=True):
        np.testing.assert_allclose([answer["probabilities"][name] for name in ("left", "right")], row, atol=1e-6)
    refused = server.post("/predict", {**falling, "pole_angle": "upright"})
    assert refused.status == 422 and refused.json["field"] == "pole_angle"
    labelled = server.post("/feedback", {"id": reply.json["predictions"][0]["id"], "label": "left"})
    assert labelled.status == 422 and "no true label" in labelled.json["detail"]


@pytest.mark.slow
def test_the_log_of_a_policy_is_watched(project: Path, server: RunningServer) -> None:
    """Episodes that a client has it play, others than those of the reference: one observation of each."""
    predictor = Predictor.load(project / "models/cartpole/trained/model.onnx", project / "models/cartpole/preprocessor")
    seen = visited(
        predictor, read_examples(project / "data/cartpole/examples/production.parquet").slice(0, 200), seed=1
    )
    records = seen.select(OBSERVATION).to_pylist()
    for start in range(0, len(records), 100):
        assert server.post("/predict", {"examples": records[start : start + 100]}).status == 200
    told = ""
    for _ in range(20):  # a window is over a few seconds after its last answer
        finished = closedloop(project, "monitor", "traffic=log", "traffic.window=150")
        assert finished.returncode == 0, finished.stdout + finished.stderr
        told = finished.stdout
        if "answers from" in told:
            break
        time.sleep(1)
    judged = re.search(r"clean: (\d+) answers from", told)
    assert judged and int(judged[1]) >= 200, told  # and those that other tests have asked for
