"""Images in requests: what is understood, what is refused and how."""

import base64
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from closedloop.tasks.base import BadRecord
from closedloop.tasks.images.request import encode_png, pixels
from closedloop.tasks.images.task import ImagePreprocessor

PREPROCESSOR = ImagePreprocessor(height=3, width=2, mean=0.25, std=0.5)
GOOD = [[0, 255], [1, 2], [3, 4]]
IMAGES = arrays(np.uint8, st.tuples(st.integers(0, 4), st.just(3), st.just(2)))


@settings(deadline=None)
@given(IMAGES)
def test_rows_and_png_mean_the_same_pixels(images: NDArray[np.uint8]) -> None:
    as_rows = [{"image": image.tolist()} for image in images]
    as_floats = [{"image": image.astype(float).tolist()} for image in images]
    as_png = [{"image": encode_png(image)} for image in images]
    for records in (as_rows, as_floats, as_png):
        table = PREPROCESSOR.decode(records)
        assert np.array_equal(pixels(table), images)
        assert np.array_equal(PREPROCESSOR.inputs(records)["inputs"], PREPROCESSOR.transform(table)["inputs"])
    assert PREPROCESSOR.encode(PREPROCESSOR.decode(as_png)) == as_rows


def png(width: int, height: int, mode: str = "L") -> str:
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def with_chunk(content: str, name: bytes, data: bytes) -> str:
    """A PNG with another chunk behind its head."""
    whole = base64.b64decode(content)
    chunk = struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return base64.b64encode(whole[:33] + chunk + whole[33:]).decode()


def test_text_in_a_png_is_not_inflated() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(3, 2)
    bomb = encode_png(image)
    for number in range(5):
        bomb = with_chunk(bomb, b"zTXt", b"k%d\0\0" % number + zlib.compress(bytes(1_000_000), 9))
    records = [{"image": bomb}]
    PREPROCESSOR.inputs([{"image": encode_png(image)}])  # Pillow is imported
    tracemalloc.start()
    found = PREPROCESSOR.decode(records)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(pixels(found), image[None])
    assert peak < 500_000


def test_pictures_of_every_kind_with_what_belongs_to_them_are_taken() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 2, 4), np.uint8)
    picture = Image.fromarray(noise, "RGBA")
    expected = np.asarray(picture.convert("L"))
    for content in (picture, picture.convert("RGB")):
        buffer = io.BytesIO()
        content.save(buffer, format="PNG", icc_profile=bytes(3000), dpi=(72, 72))
        encoded = base64.b64encode(buffer.getvalue()).decode()
        assert np.array_equal(pixels(PREPROCESSOR.decode([{"image": encoded}]))[0], expected)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (None, "expected 3 rows of 2 pixels"),
        (7, "expected 3 rows of 2 pixels"),
        ({}, "expected 3 rows of 2 pixels"),
        ([], "found 0 rows"),
        (GOOD[:2], "found 2 rows"),
        ([[0, 255], [1, 2, 3], [3, 4]], "row 1 has 3 pixels"),
        ([[0, 255], 5, [3, 4]], "row 1 is no list"),
        ([[0, 255], "ab", [3, 4]], "row 1 is no list"),
        ([[0, 255], [1, 256], [3, 4]], "row 1, pixel 1"),
        ([[0, 255], [1, 2], [-1, 4]], "row 2, pixel 0"),
        ([[0, 255], [1, 2], [0.5, 4]], "row 2, pixel 0"),
        ([[0, 255], [1, 2], [True, 4]], "row 2, pixel 0"),
        ([[0, 255], [1, 2], ["4", 4]], "row 2, pixel 0"),
        ([[0, 255], [1, 2], [None, 4]], "row 2, pixel 0"),
        ([[0, 255], [1, 2], [[4], 4]], "row 2, pixel 0"),
        ([[0, 255], [1, 2], [1e300, 4]], "row 2, pixel 0"),
        ([[0, 255], [1, 2], [float("nan"), 4]], "row 2, pixel 0"),
        ([[0, 255], [1, 2], [float("inf"), 4]], "row 2, pixel 0"),
        ("", "not a base64-encoded PNG"),
        ("secret!", "not a base64-encoded PNG"),
        ("é", "not a base64-encoded PNG"),
        (base64.b64encode(b"GIF89a").decode(), "not a base64-encoded PNG"),
        (png(3, 2), "the PNG has 2 of 3"),
        (png(8000, 8000, "1"), "the PNG has 8000 of 8000"),  # 64 million pixels in 8 kB
        (with_chunk(png(2, 3), b"prVt", bytes(100_000)), "the PNG is larger than 8,243 bytes"),
        (base64.b64encode(base64.b64decode(png(2, 3))[:-26]).decode(), "the PNG is damaged"),
    ],
)
def test_a_refusal_names_record_field_and_place_but_no_content(image: object, reason: str) -> None:
    with pytest.raises(BadRecord, match="record 1, field 'image'") as refused:
        PREPROCESSOR.inputs([{"image": GOOD}, {"image": image}])
    assert reason in refused.value.reason
    assert (refused.value.row, refused.value.field) == (1, "image")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("record", [None, [], "image", 1, {}, {"picture": GOOD}, {"image": GOOD, "secret": 1}])
def test_a_record_has_exactly_the_field_image(record: object) -> None:
    with pytest.raises(BadRecord, match="exactly one field, 'image'") as refused:
        PREPROCESSOR.decode([record])  # type: ignore[list-item]
    assert "secret" not in str(refused.value)


def test_the_example_can_be_decoded() -> None:
    for height, width in ((3, 2), (28, 28), (1, 1)):
        of_size = ImagePreprocessor(height, width, 0.0, 1.0)
        assert of_size.inputs([of_size.request_example()])["inputs"].shape == (1, 1, height, width)
