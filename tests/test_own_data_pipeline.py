"""From a stranger's file or folder to a registered and monitored model, by `new` and `run` alone."""

from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pandas as pd
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


def houses(path: Path) -> Path:
    """Prices as a broker's spreadsheet has them: a decimal comma, gaps, and dates to split by."""
    rng, rows = np.random.default_rng(0), 900
    area, city = rng.lognormal(4.5, 0.4, rows).round(1), rng.choice(["Köln", "Trier"], rows)
    price = (area * 2500 * (1 + 0.3 * (city == "Köln")) * rng.lognormal(0, 0.15, rows)).round(2)
    dates = pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"date": dates, "area": area, "city": city, "price": price})
    frame.loc[rng.choice(rows, 20, replace=False), "area"] = np.nan
    frame.loc[rng.choice(rows, 9, replace=False), "price"] = np.nan
    frame.to_csv(path, sep=";", decimal=",", encoding="cp1252", index=False)
    return path


@pytest.mark.slow
def test_own_numbers_end_with_a_champion_that_is_watched(tmp_path: Path) -> None:
    project = checkout(tmp_path / "closedloop")
    told = succeed(project, "new", "mine", str(houses(tmp_path / "houses.csv")), "--target", "price")
    assert "9 examples without a number" in told and "rows are split in its order" in told
    assert "mine version 1: champion" in succeed(project, "run", "--task", "mine")
    report = read_json(project / "reports/mine/evaluation.json")
    assert report["metrics"]["r2"]["value"] > 0.7
    assert 0.75 < report["metrics"]["coverage"]["value"] <= 1
    assert read_json(project / "reports/mine/drift.json")["verdict"] == "clean"


@pytest.mark.slow
@pytest.mark.parametrize("characters", [25_000, 120_000])
def test_an_own_text_ends_with_a_language_model_that_is_watched(tmp_path: Path, characters: int) -> None:
    project, book = checkout(tmp_path / "closedloop"), tmp_path / "python.txt"
    book.write_text("\n\n".join(topics.values())[:characters])
    assert "a language model learns how it goes on" in succeed(project, "new", "mine", str(book))
    assert "mine version 1: champion" in succeed(project, "run", "--task", "mine")
    evaluated = read_json(project / "reports/mine/evaluation.json")
    assert evaluated["metrics"]["nats"]["value"] < 2.7
    assert read_json(project / "reports/mine/drift.json")["verdict"] == "clean"
