"""What a report says of a generator, with a judge of pixels in place of a classifier."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from closedloop.config import Evaluation
from closedloop.data.array_columns import to_column
from closedloop.errors import DataError
from closedloop.evaluation.generation import facts, headline, judged, samples
from closedloop.evaluation.judge import Judge
from closedloop.files import write_json
from closedloop.tasks.images.request import Form
from closedloop.tasks.images.task import ImagePreprocessor

CONFIG = Evaluation(confidence=0.95, resamples=100, seed=0, calibration_bins=10)


class Eyes(Judge):
    def look(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        flat = images.reshape(len(images), -1) / 255
        return flat[:, :4], (flat[:, 0] > 0.5).astype(np.intp)


EYES = Eyes("eyes", 3, ("dark", "light"), None, ImagePreprocessor(6, 6, 0.0, 1.0), tested_on="abc")


def images(seed: int, count: int = 120) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 6), np.uint8)


def table(found: NDArray[np.uint8]) -> pa.Table:
    return pa.table({"id": [str(row) for row in range(len(found))], "image": to_column(found)})


def test_copies_of_training_images_are_found_and_nothing_else_is_taken_for_one() -> None:
    training, real = images(0, 400), table(images(1))
    one_in_three = np.where(np.arange(120)[:, None, None] % 3 == 0, training[:120], images(2))
    for made, low, high in ((images(2), 0, 0.05), (training[:120], 1, 1), (one_in_three, 0.33, 0.37)):
        assert low <= headline(judged(made, real, EYES, training), CONFIG)["copied"].value <= high


def test_the_report_says_who_has_judged_and_whether_it_may_have_learnt_the_test_images() -> None:
    found = judged(images(2), table(images(1)), EYES, images(0)).evidence
    assert facts(found, "abc")["judge"] == {"name": "eyes", "version": 3, "kept_from_test_images": True}
    for judge, contents in ((EYES, "another split"), (replace(EYES, tested_on=None), "abc")):
        assert facts(replace(found, judge=judge), contents)["judge"]["kept_from_test_images"] is False


def test_images_of_another_form_than_the_judges_are_refused() -> None:
    EYES.require_form(Form(6, 6))
    with pytest.raises(DataError, match=r"eyes takes images of \(6, 6\), these are \(6, 6, 3\)"):
        EYES.require_form(Form(6, 6, 3))


def test_a_model_of_another_kind_is_no_judge(tmp_path: Path) -> None:
    write_json(tmp_path / "preprocessor.json", {"kind": "tables"})
    with pytest.raises(DataError, match="adult is no classifier of images"):
        Judge.load("adult", 1, tmp_path / "model.onnx", tmp_path)


def test_what_was_made_stands_apart_in_the_picture(tmp_path: Path) -> None:
    white = np.full((100, 6, 6), 255, np.uint8)
    found = judged(white, table(images(1)), EYES, images(0))
    report = {"metrics": {name: {"value": 0.5} for name in ("frechet", "precision", "recall")}}
    samples(found, report, tmp_path / "samples.png")
    picture = np.asarray(Image.open(tmp_path / "samples.png").convert("L"))
    assert ((picture > 90) & (picture < 102)).mean() > 0.05  # lines between the white tiles
