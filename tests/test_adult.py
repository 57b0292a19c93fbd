"""The census rows through the real stages with a small network: from the mirror to a champion, and drift seen."""

import os
from pathlib import Path

import pytest

from closedloop.files import read_json
from in_process import run, watch
from test_pipeline import checkout

SMALL = ("trainer.max_epochs=1", "model.members=2", "model.hidden=[32]", "gate.min_accuracy=0.8")
LENIENT = ("gate.min_macro_f1=0.7", "gate.min_class_recall=0.3", "gate.max_calibration_error=0.2")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("CLOSEDLOOP_MIRROR") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "adult.data").is_file():
        pytest.skip(f"no mirror of real data: {folder / 'adult.data'} is no file and CLOSEDLOOP_MIRROR names no other")
    made = checkout(tmp_path_factory.mktemp("adult") / "closedloop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOSEDLOOP_MIRROR", str(folder))
        run(made, "adult", *SMALL, *LENIENT)
    return made


def test_it_ends_with_a_champion_and_no_drift(project: Path) -> None:
    reports = project / "reports/adult"
    assert read_json(reports / "registration.json")["champion"] == 1
    assert read_json(reports / "drift.json")["verdict"] == "clean"
    evaluated = read_json(reports / "evaluation.json")["metrics"]
    assert evaluated["roc_auc"]["low"] > 0.85
    assert "workclass: " in (reports / "validation.html").read_text()


def test_renamed_categories_are_found(project: Path) -> None:
    report = watch(project, "traffic.scenario=recoding", "traffic.severity=4")
    assert report["verdict"] == "drift"
    assert any("hold categories that the reference lacks" in reason for reason in report["reasons"])
