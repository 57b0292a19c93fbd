"""Colour and size all the way: requests, the transform, descriptors and shifts."""

import base64
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from closedloop.data.array_columns import to_column
from closedloop.errors import ConfigError
from closedloop.tasks.base import BadRecord
from closedloop.tasks.images.descriptors import describe
from closedloop.tasks.images.pictures import fitted
from closedloop.tasks.images.request import encode_png, pixels
from closedloop.tasks.images.shifts import COLOURED, CORRUPTIONS, shift
from closedloop.tasks.images.task import TASK, ImagePreprocessor
from pictures import SHAPES, shape

COLOUR = ImagePreprocessor(3, 2, mean=[0.1, 0.2, 0.3], std=[0.5, 0.6, 0.7])
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 3), np.uint8)


def shapes(count: int = 60) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    return np.stack([shape(SHAPES[number % 3], rng) for number in range(count)])


def table(images: NDArray[np.uint8]) -> pa.Table:
    return pa.table({"id": [str(row) for row in range(len(images))], "image": to_column(images)})


def test_rows_arrays_and_png_mean_the_same_colours_in_training_and_in_serving() -> None:
    of_frame = pd.DataFrame({"image": pd.Series(IMAGES.tolist())}).map(np.array).to_dict("records")
    nested = [{"image": np.array([*map(np.array, image.tolist())], object)} for image in IMAGES]
    as_rows, as_png = ([{"image": form(image)} for image in IMAGES] for form in (np.ndarray.tolist, encode_png))
    for records in (as_rows, as_png, of_frame, nested):
        assert np.array_equal(pixels(COLOUR.decode(records)), IMAGES)
        assert np.array_equal(COLOUR.inputs(records)["inputs"], COLOUR.transform(COLOUR.decode(as_rows))["inputs"])
    assert COLOUR.encode(COLOUR.decode(as_png)) == as_rows
    inputs = COLOUR.inputs(as_rows)["inputs"]
    expected = (np.moveaxis(IMAGES, 3, 1) / 255 - np.array(COLOUR.mean).reshape(3, 1, 1)) / np.reshape(
        COLOUR.std, (3, 1, 1)
    )
    assert inputs.dtype == np.float32 and np.allclose(inputs, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ([[0, 1], [2, 3], [4, 5]], "row 0, pixel 0 is no list of 3"),
        ([[[0, 0, 0], [0, 0, 256]]] + [[[0, 0, 0]] * 2] * 2, "row 0, pixel 1 is no list of 3"),
        ([[[0, 0, 0], [0, 0]]] + [[[0, 0, 0]] * 2] * 2, "row 0, pixel 1 is no list of 3"),
        ([[[0, 0, True], [0, 0, 0]]] + [[[0, 0, 0]] * 2] * 2, "row 0, pixel 0 is no list of 3"),
        ([[[0, 0, 0]] * 3] * 3, "3 rows of 2 pixels, each"),
        (encode_png(np.zeros((4, 2, 3), np.uint8)), "the PNG has 4 of 2"),
    ],
)
def test_what_is_no_colour_image_is_refused_with_its_place(image: object, reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        COLOUR.inputs([{"image": image}])


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_request_of_another_size_becomes_what_a_file_would(fit: str, channels: int) -> None:
    moments = 0.0 if channels == 1 else [0.0] * 3, 1.0 if channels == 1 else [1.0] * 3
    preprocessor = ImagePreprocessor(6, 6, *moments, fit)  # type: ignore[arg-type]
    image = shapes(1)[0][:9] if channels == 3 else shapes(1)[0][:9, :, 0]
    expected = fitted(image, (6, 6), fit)  # type: ignore[arg-type]
    for form in (image.tolist(), encode_png(image)):
        assert np.array_equal(pixels(preprocessor.decode([{"image": form}]))[0], expected)
    for wrong in ([[]], [[[0] * channels] * 4, [[0] * channels]], [], 7):
        with pytest.raises(BadRecord):
            preprocessor.decode([{"image": wrong}])


def test_a_grey_png_of_16_bits_is_no_white_square() -> None:
    target = io.BytesIO()
    levels = np.arange(6, dtype=np.uint16).reshape(3, 2) * 8000
    Image.fromarray(levels).save(target, "PNG")
    grey = ImagePreprocessor(3, 2, 0.0, 1.0)
    decoded = grey.decode([{"image": base64.b64encode(target.getvalue()).decode()}])
    assert np.array_equal(pixels(decoded)[0], levels >> 8)


def test_descriptors_of_grey_stay_and_colours_have_their_own() -> None:
    images = shapes()
    grey = images[..., 0]
    same = describe(np.repeat(grey[..., None], 3, axis=3))
    assert np.allclose(same[describe(grey).columns], describe(grey), atol=1e-6)
    assert not same[["saturation", "red_green", "yellow_blue", "colourfulness"]].to_numpy().any()
    red = np.zeros((1, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert describe(red).iloc[0][["saturation", "red_green", "yellow_blue"]].tolist() == [1, 1, 0.5]


@pytest.mark.parametrize("scenario", [*CORRUPTIONS, *COLOURED])
def test_shifts_keep_the_form_of_colours_and_grow(scenario: str) -> None:
    examples, changes = table(shapes()), []
    for severity in (1, 5):
        shifted = shift(examples, scenario, severity, np.random.default_rng(0))
        assert shifted.schema == examples.schema
        changes.append(np.abs(pixels(shifted).astype(float) - pixels(examples)).mean())
    assert 0 < changes[0] < changes[1]


def test_a_tint_moves_colours_and_needs_them() -> None:
    examples = table(shapes())
    moved = TASK.describe(shift(examples, "tint", 3, np.random.default_rng(0))) - TASK.describe(examples)
    assert (moved["red_green"] > 0).all() and (moved["yellow_blue"] > 0).all()
    with pytest.raises(ConfigError, match="needs images in colour"):
        shift(table(shapes()[..., 0]), "tint", 3, np.random.default_rng(0))
