"""Numbers as target through the real stages: the embedded patients, from the package to a champion, and drift seen."""

from pathlib import Path

import pytest

from closedloop.files import read_json
from in_process import run, watch
from test_pipeline import checkout, closedloop

SMALL = ("trainer.max_epochs=8", "gate.min_r2=0.1", "gate.min_coverage=0.6", "monitor.min_labels=40")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = checkout(tmp_path_factory.mktemp("numbers") / "closedloop")
    run(made, "diabetes", *SMALL)
    return made


def test_it_ends_with_a_champion_and_no_drift(project: Path) -> None:
    reports = project / "reports/diabetes"
    registered, judged = read_json(reports / "registration.json"), read_json(reports / "drift.json")
    assert registered["champion"] == 1
    assert judged["verdict"] == "clean"
    assert judged["mae"]["labelled_rows"] == judged["window"]["rows"]
    assert {column["name"] for column in judged["columns"]} >= {"prediction", "interval width"}
    assert "accuracy" not in judged
    evaluated = read_json(reports / "evaluation.json")
    assert evaluated["metrics"]["r2"]["value"] > 0.1
    assert set(evaluated["baseline"]["gains"]) == {"mae", "mse"}
    figures = {file.name for file in (reports / "figures").iterdir()}
    assert figures == {"training.png", "predicted.png", "residuals.png", "calibration.png", "mistakes.png"}
    card = (reports / "model_card.md").read_text()
    assert "a number with an interval" in card and "recall" not in card
    assert "test mean absolute error " in closedloop(project, "summary").stdout


def test_a_world_of_other_units_is_found(project: Path) -> None:
    report = watch(project, "traffic.scenario=inflation", "traffic.severity=4")
    assert report["verdict"] == "drift"
    assert any("mean absolute error" in reason for reason in report["reasons"])


def test_imbalance_of_classes_is_no_scenario_of_numbers(project: Path) -> None:
    finished = closedloop(project, "monitor", "traffic.scenario=imbalance")
    assert finished.returncode == 2
    assert "traffic.scenario: imbalance does not go with" in finished.stderr


def test_the_gate_must_be_one_of_numbers(project: Path) -> None:
    finished = closedloop(project, "params", "--task", "adult", "task.target=number", "task.classes=[]")
    assert finished.returncode == 2
    assert "choose gate=number" in finished.stderr
