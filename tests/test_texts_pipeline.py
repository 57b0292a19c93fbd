"""Text messages through the real pipeline, with a small network and few epochs."""

from pathlib import Path

import pytest

from closedloop.files import read_json
from in_process import run, watch
from test_pipeline import checkout

SMALL = (
    *("model=text_lstm", "model.width=16", "model.hidden=16", "trainer.max_epochs=2", "trainer.batch_size=64"),
    *("optimizer.lr=0.01", "preprocess.features.vocabulary=300", "preprocess.features.max_tokens=32"),
    *("preprocess.features.longest=3", "preprocess.features.max_ngrams=300"),
    *("gate.min_accuracy=0.9", "gate.min_macro_f1=0.8", "gate.min_class_recall=0.5", "evaluation.resamples=100"),
)


@pytest.mark.usefixtures("mirror")
def test_text_messages_end_with_a_champion_clean_traffic_and_drift_that_is_found(tmp_path: Path) -> None:
    project = checkout(tmp_path / "closedloop")
    run(project, "sms_spam", *SMALL)
    report = project / "reports/sms_spam"
    assert read_json(report / "registration.json")["champion"] == 1
    assert read_json(report / "drift.json")["verdict"] == "clean"
    assert read_json(report / "preprocess.json")["dropped"] == 403
    assert "<pre>" in (report / "validation.html").read_text()
    shifted = watch(project, "traffic.scenario=shouting")
    assert shifted["verdict"] == "drift"
    assert any("upper_share" in reason for reason in shifted["reasons"])
