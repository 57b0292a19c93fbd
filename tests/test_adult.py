"""The census rows through the real stages with a small network: from the mirror to a champion, and drift seen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from closedloop.files import read_json
from test_pipeline import ENVIRONMENT, checkout

SMALL = ("trainer.max_epochs=1", "model.members=2", "model.hidden=[32]", "gate.min_accuracy=0.8")
LENIENT = ("gate.min_macro_f1=0.7", "gate.min_class_recall=0.3", "gate.max_calibration_error=0.2")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("CLOSEDLOOP_MIRROR") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "adult.data").is_file():
        pytest.skip(f"no mirror of real data: {folder / 'adult.data'} is no file and CLOSEDLOOP_MIRROR names no other")
    made = checkout(tmp_path_factory.mktemp("adult") / "closedloop")
    finished = closedloop(made, folder, "run", "--task", "adult", *SMALL, *LENIENT)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return made


def closedloop(project: Path, mirror: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**ENVIRONMENT, **({"CLOSEDLOOP_MIRROR": str(mirror)} if mirror else {})}
    command = [sys.executable, "-m", "closedloop.cli", *arguments]
    return subprocess.run(command, cwd=project, env=environment, text=True, capture_output=True, check=False)


def test_it_ends_with_a_champion_and_no_drift(project: Path) -> None:
    reports = project / "reports/adult"
    assert read_json(reports / "registration.json")["champion"] == 1
    assert read_json(reports / "drift.json")["verdict"] == "clean"
    evaluated = read_json(reports / "evaluation.json")["metrics"]
    assert evaluated["roc_auc"]["low"] > 0.85
    assert "workclass: " in (reports / "validation.html").read_text()


def test_renamed_categories_are_found(project: Path) -> None:
    finished = closedloop(project, None, "monitor", "traffic.scenario=recoding", "traffic.severity=4")
    assert finished.returncode == 3, finished.stdout + finished.stderr
    assert "hold categories that the reference lacks" in finished.stderr
