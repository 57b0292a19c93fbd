"""Texts in requests: what is understood, what is refused and how, and that serving does what training did."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import CONFIG, HAM, SPAM, fitted, table

from closedloop.tasks import get_task
from closedloop.tasks.base import BadRecord

PREPROCESSOR = fitted()
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), max_size=5)


@settings(deadline=None)
@given(TEXTS)
def test_training_and_serving_see_the_same(found: list[str]) -> None:
    records = [{"text": text} for text in found]
    examples = PREPROCESSOR.decode(records)
    assert PREPROCESSOR.encode(examples) == records
    served, trained = PREPROCESSOR.inputs(records), PREPROCESSOR.transform(examples)
    assert served.keys() == trained.keys() == {"tokens", "ngrams", "weights"}
    assert all(np.array_equal(served[name], trained[name]) for name in served)


@settings(deadline=None)
@given(TEXTS)
def test_inputs_keep_to_their_shapes_and_cardinalities(found: list[str]) -> None:
    inputs, sizes = PREPROCESSOR.inputs([{"text": text} for text in found]), PREPROCESSOR.cardinalities
    assert inputs["tokens"].shape == (len(found), CONFIG.max_tokens)
    assert inputs["ngrams"].shape == inputs["weights"].shape == (len(found), 2 * CONFIG.max_ngrams)
    for name, (size,) in sizes.items():
        assert inputs[name].dtype == np.int32
        assert inputs[name].min(initial=0) >= 0 and inputs[name].max(initial=0) < size
    assert np.array_equal(inputs["ngrams"] == 0, inputs["weights"] == 0)
    assert (np.diff((inputs["tokens"] != 0).astype(int), axis=1) <= 0).all()  # padding stands behind


def test_each_view_has_weights_of_length_1_and_shapes_forget_which_letters_there_were() -> None:
    one, other = (PREPROCESSOR.inputs([{"text": text}]) for text in ("Call 0871 NOW", "Ring 9999 TEN"))
    letters = len(PREPROCESSOR.views[0].known)
    for inputs in (one, other):
        shapes = inputs["ngrams"][0] > letters
        assert np.linalg.norm(inputs["weights"][0][shapes]) == pytest.approx(1, abs=1e-5)
    shapes_of = [set(inputs["ngrams"][0][inputs["ngrams"][0] > letters]) for inputs in (one, other)]
    assert shapes_of[0] == shapes_of[1]
    assert set(one["ngrams"][0]) != set(other["ngrams"][0])


def test_what_lies_beyond_the_limits_is_not_seen() -> None:
    start = "".join(HAM[:2])[:120]
    one, other = (PREPROCESSOR.inputs([{"text": start + end}]) for end in (SPAM[0][:60], HAM[3][:60]))
    assert np.array_equal(one["tokens"], other["tokens"])
    assert not np.array_equal(one["ngrams"], other["ngrams"])  # there are more n-grams than tokens


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "expected a string"),
        (7, "expected a string"),
        (["secret"], "expected a string"),
        ({"secret": 1}, "expected a string"),
        ("", "the text is empty"),
        ("secret" * 34, "the text has 204 characters, at most 200 are taken"),
        ("secret \ud800", "character 7 is half of a surrogate pair"),
    ],
)
def test_a_refusal_names_record_field_and_reason_but_no_content(text: object, reason: str) -> None:
    for read in (PREPROCESSOR.inputs, PREPROCESSOR.decode):
        with pytest.raises(BadRecord, match="record 1, field 'text'") as refused:
            read([{"text": "good"}, {"text": text}])
        assert reason in refused.value.reason
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize("record", [None, [], "text", 1, {}, {"texts": "a"}, {"text": "a", "secret": 1}])
def test_a_record_has_exactly_the_field_text(record: Any) -> None:
    with pytest.raises(BadRecord, match="exactly one field, 'text'") as refused:
        PREPROCESSOR.inputs([record])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["\x00", "🙂🙂", " ", "\u202e\ufeff", "a\r\nb", "İ" * 200])
def test_odd_texts_are_taken(text: str) -> None:
    assert PREPROCESSOR.inputs([{"text": text}])["tokens"][0, 0] != 0
    assert PREPROCESSOR.encode(PREPROCESSOR.decode([{"text": text}])) == [{"text": text}]


def test_saved_and_loaded_it_does_the_same(tmp_path: Path) -> None:
    PREPROCESSOR.save(tmp_path)
    assert json.loads((tmp_path / "preprocessor.json").read_text())["kind"] == "texts"
    again = get_task("texts").load_preprocessor(tmp_path)
    assert again.cardinalities == PREPROCESSOR.cardinalities
    examples = table([*HAM, *SPAM])
    for name, array in PREPROCESSOR.transform(examples).items():
        assert np.array_equal(again.transform(examples)[name], array)


def test_the_example_can_be_asked_and_the_schema_says_what_is_taken() -> None:
    assert PREPROCESSOR.inputs([PREPROCESSOR.request_example()])["tokens"].any()
    text = PREPROCESSOR.request_schema()["properties"]["text"]
    assert (text["minLength"], text["maxLength"]) == (1, 200)
