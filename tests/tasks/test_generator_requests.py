"""What may be asked of a model that makes something: how much at once, and what is taken for no image."""

import pytest

from closedloop.tasks.base import BadRecord, Writer
from closedloop.tasks.images.generator import GeneratorPreprocessor
from closedloop.tasks.texts.characters import CharacterPreprocessor

IMAGES = GeneratorPreprocessor(8, 8, 1, noise=4, max_count=64)
TEXTS = CharacterPreprocessor("abc", passage=16, max_prompt=100, max_length=1000)


@pytest.mark.parametrize(
    ("writer", "records", "row", "field", "most"),
    [
        (IMAGES, [{"count": 32}, {"count": 32}, {}], 2, "count", "64 images"),
        (IMAGES, [{"count": 64}] * 256, 1, "count", "64 images"),
        (TEXTS, [{"prompt": "a"}] * 6, 5, "length", "1000 characters"),
    ],
)
def test_examples_ask_for_no_more_together_than_one_may_alone(
    writer: Writer, records: list[dict[str, object]], row: int, field: str, most: str
) -> None:
    writer.refuse_excess(records[:row])
    with pytest.raises(BadRecord, match=most) as told:
        writer.refuse_excess(records)
    assert (told.value.row, told.value.field) == (row, field)


def test_a_number_is_no_image_and_a_gap_of_a_table_is_none() -> None:
    with pytest.raises(BadRecord) as told:
        IMAGES.inputs([{"image": 1.5}])
    assert told.value.field == "image"
    assert IMAGES.wishes([{"image": float("nan"), "count": 2.0}])[0].image is None


def test_logged_requests_are_described_however_much_they_asked_for() -> None:
    assert TEXTS.decode([{"prompt": "a", "length": 1000}] * 20).num_rows == 20
