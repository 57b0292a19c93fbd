"""Spoken digits through the real pipeline, with a small network and few epochs."""

from pathlib import Path

import pytest

from closedloop.files import read_json
from in_process import run, watch
from test_pipeline import checkout

SMALL = (
    *("trainer.max_epochs=4", "optimizer.lr=0.01", "augmentation=none", "model.filters=[8,16]", "model.hidden=24"),
    *("preprocess.features.mels=24", "preprocess.features.hop_ms=16", "gate.min_accuracy=0.5", "gate.min_macro_f1=0.5"),
    *("gate.min_class_recall=0", "gate.max_calibration_error=1", "evaluation.resamples=100"),
)


@pytest.mark.usefixtures("mirror")
def test_spoken_digits_end_with_a_champion_clean_traffic_and_drift_that_is_found(tmp_path: Path) -> None:
    project = checkout(tmp_path / "closedloop")
    run(project, "spoken_digits", *SMALL)
    report = project / "reports/spoken_digits"
    assert read_json(report / "registration.json")["champion"] == 1
    assert read_json(report / "drift.json")["verdict"] == "clean"
    assert read_json(report / "preprocess.json")["parts"]["test"]["test"] == 300
    assert "data:image/png;base64," in (report / "validation.html").read_text()
    shifted = watch(project, "traffic.scenario=quiet")
    assert shifted["verdict"] == "drift"
    assert any("loudness" in reason for reason in shifted["reasons"])
