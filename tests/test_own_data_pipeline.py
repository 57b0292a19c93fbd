"""From a stranger's file or folder to a registered and monitored model, by `new` and `run` alone."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from closedloop.files import read_json
from test_pipeline import checkout, succeed


def biopsies(path: Path) -> Path:
    """Measurements as a hospital's spreadsheet has them: with gaps, a decimal comma, a name and a leak."""
    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "diagnosis"})
    rng = np.random.default_rng(0)
    frame["diagnosis"] = np.where(frame["diagnosis"] == 0, "malignant", "benign")
    frame["code"] = frame["diagnosis"].map({"malignant": "C50", "benign": "D24"})
    frame["hospital"] = rng.choice(["Nord", "Süd", "?"], len(frame))
    frame.loc[rng.choice(len(frame), 30), "mean texture"] = np.nan
    frame.loc[rng.choice(len(frame), 5), "diagnosis"] = None
    frame.insert(0, "patient no", [f"P-{row:04d}" for row in range(len(frame))])
    frame.to_csv(path, sep=";", decimal=",", encoding="cp1252")
    return path


def reviews(root: Path) -> Path:
    rng = np.random.default_rng(0)
    words = {"good": ("fine", "lovely", "moving", "clever"), "bad": ("dull", "clumsy", "long", "flat")}
    both = ("the", "film", "was", "and", "its", "actors", "music", "story", "in", "places", "quite")
    for label, own in words.items():
        (root / label).mkdir(parents=True)
        for number in range(200):
            text = [*rng.choice(both, 8), *rng.choice(own, 2)]
            (root / label / f"{number}.txt").write_text(f"{' '.join(rng.permutation(text))}, {number}.")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tables", "texts"])
def test_own_data_end_with_a_champion_that_is_watched(tmp_path: Path, kind: str) -> None:
    project = checkout(tmp_path / "closedloop")
    if kind == "tables":
        arguments = [str(biopsies(tmp_path / "biopsies.csv")), "--target", "diagnosis"]
    else:
        arguments = [str(reviews(tmp_path / "reviews"))]
    assert "next: make run TASK=mine" in succeed(project, "new", "mine", *arguments)
    assert "mine version 1: champion" in succeed(project, "run", "--task", "mine")
    report = read_json(project / "reports/mine/evaluation.json")
    assert report["metrics"]["accuracy"]["value"] > 0.9
    assert read_json(project / "reports/mine/drift.json")["verdict"] == "clean"
