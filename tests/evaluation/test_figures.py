"""The figures are drawn in the hard cases as well: no mistakes, many or strangely named classes, a single epoch."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from closedloop.config import Evaluation
from closedloop.evaluation import classification, curves, figures
from closedloop.evaluation.calibration import reliability
from closedloop.evaluation.predictions import Predictions

STRANGE = ["$x", "y$", r"\frac{", "a name that is long enough to be cut", "<b>", "数字"]


def answers(classes: list[str], wrong: int) -> Predictions:
    rows = 4 * len(classes)
    labels = np.arange(rows) % len(classes)
    said = labels.copy()
    said[:wrong] = (said[:wrong] + 1) % len(classes)
    probabilities = np.full((rows, len(classes)), 0.2 / (len(classes) - 1))
    probabilities[np.arange(rows), said] = 0.8
    return Predictions([f"example {row}" for row in range(rows)], labels, probabilities, classes)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        colours = image.convert("L").getcolors()
        assert colours is not None
        assert len(colours) > 20  # something is drawn
        return image.size


@pytest.mark.filterwarnings("ignore:Glyph")  # the shipped font has no Chinese
@pytest.mark.parametrize(
    ("classes", "wrong"),
    [(["a", "b"], 0), (["a", "b"], 1), (STRANGE, 24), ([f"class {i}" for i in range(60)], 30)],
    ids=["no mistake", "one mistake", "strange names, nothing right", "many classes"],
)
def test_every_figure_is_drawn(classes: list[str], wrong: int, tmp_path: Path) -> None:
    found, config = answers(classes, wrong), Evaluation(resamples=100)
    report = classification.report("task", found, ["all"] * len(found.ids), config)
    figures.confusion(found, tmp_path / "confusion.png")
    figures.reliability(reliability(found, config.calibration_bins, 0.95), report, tmp_path / "reliability.png")
    figures.classes(report, tmp_path / "classes.png")
    curves.roc_and_precision(found, report, tmp_path / "curves.png")
    asked: list[int] = []

    def picture(row: int) -> np.ndarray:
        asked.append(row)
        return np.full((8, 8), 10 * (row % 25), np.uint8)

    figures.mistakes(found, picture, tmp_path / "mistakes.png")
    for path in tmp_path.glob("*.png"):
        width, height = size(path)
        assert 300 < width < 3000
        assert 200 < height < 3000
    assert asked[:wrong] == list(range(min(wrong, figures.SHOWN)))  # the mistakes before all others


def test_the_most_confident_mistakes_come_first(tmp_path: Path) -> None:
    found = answers(["a", "b", "c"], wrong=5)
    found.probabilities[3] = [0.01, 0.98, 0.01]
    asked: list[int] = []
    figures.mistakes(found, lambda row: asked.append(row) or np.zeros((4, 4), np.uint8), tmp_path / "m.png")
    assert asked[0] == 3


@pytest.mark.parametrize("epochs", [1, 30])
def test_training_curves(epochs: int, tmp_path: Path) -> None:
    rows = [f"{e},{1 / e},{1 - 0.5 / e},{1.1 / e},{1 - 0.6 / e},{0.01 / e}" for e in range(1, epochs + 1)]
    history = tmp_path / "history.csv"
    history.write_text("epoch,train/loss,train/accuracy,val/loss,val/accuracy,lr\n" + "\n".join(rows) + "\n")
    figures.training_curves(history, tmp_path / "curves.png")
    size(tmp_path / "curves.png")
    figures.training_curves(history, tmp_path / "two.png", ("a quantity", "another one"))
    size(tmp_path / "two.png")


def test_the_curves_go_through_every_threshold() -> None:
    positive, scores = np.array([True, False, True, False]), np.array([0.9, 0.6, 0.6, 0.1])
    false_positives, recall, precision = curves.rates(positive, scores)
    np.testing.assert_allclose(false_positives, [0, 0, 0.5, 1])
    np.testing.assert_allclose(recall, [0, 0.5, 1, 1])
    np.testing.assert_allclose(precision, [1, 1, 2 / 3, 0.5])
