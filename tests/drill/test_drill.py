"""The fire drill as its user starts it, on the embedded digits."""

from pathlib import Path

import pytest

from closedloop.files import read_json
from test_pipeline import checkout, closedloop, succeed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def test_it_passes_and_leaves_a_report_of_every_phase(tmp_path: Path) -> None:
    project = checkout(tmp_path / "closedloop")
    succeed(project, "params", "--task", "digits")
    finished = closedloop(project, "drill")
    report = read_json(project / "reports/digits/drill.json")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert report["passed"]
    phases = {phase["name"]: phase for phase in report["phases"]}
    assert all(name in finished.stdout for name in phases)
    assert phases["clean traffic"]["verdict"] == phases["shifted traffic again"]["verdict"] == "clean"
    assert phases["shifted traffic, window 2"]["verdict"] == "drift"
    assert phases["a worse model"]["version"] == phases["the server follows"]["version"] == 2
    assert phases["roll back"]["version"] == 1
    low, high = report["recovery"]["first_model_shifted"]["value"], report["recovery"]["new_model_shifted"]["value"]
    assert low < high
    assert not (project / "predictions.db").exists()  # the drill's log and registry are its own
    assert not (project / "mlflow.db").exists()
