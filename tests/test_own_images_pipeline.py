"""A folder of colour pictures that the project has never seen, from nothing to a watched champion."""

from pathlib import Path

from closedloop.files import read_json
from in_process import run, watch
from pictures import write_shapes
from test_pipeline import checkout, succeed

QUICK = ("trainer.max_epochs=7", "model.filters=[8,16]", "model.dense=[32]", "evaluation.resamples=100")


def test_a_folder_of_colour_pictures_ends_with_a_champion_and_drift_that_is_found(tmp_path: Path) -> None:
    project, pictures = checkout(tmp_path / "closedloop"), write_shapes(tmp_path / "shapes", 300)
    (pictures / "circle" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (pictures / "README.txt").write_text("drawn by a test")
    told = " ".join(succeed(project, "new", "shapes", str(pictures)).split())
    assert "900 images" in told and "in colour" in told and "1 files cannot be read" in told, told
    run(project, "shapes", *QUICK)
    reports = project / "reports/shapes"
    assert read_json(reports / "evaluation.json")["metrics"]["accuracy"]["value"] > 0.6
    assert read_json(reports / "registration.json")["champion"] == 1
    assert read_json(reports / "drift.json")["verdict"] == "clean"
    assert "broken.png" in (reports / "validation.html").read_text()
    assert watch(project, "traffic.scenario=tint")["verdict"] == "drift"
