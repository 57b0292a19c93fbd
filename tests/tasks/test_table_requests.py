"""Rows in requests: what is understood, what is refused and how; the transform that they go through."""

import hashlib
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import PREPROCESSOR, rows

from closedloop.tasks.base import BadRecord
from closedloop.tasks.tables.preprocessor import MISSING, OTHER, Category, Number
from closedloop.tasks.tables.task import TASK

NUMBER = st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(-(2**40), 2**40))
TEXT = st.one_of(st.none(), st.sampled_from(["Private", "State", "?", " F "]), st.text(max_size=8))
RECORD = st.fixed_dictionaries({}, optional={"age": NUMBER, "gain": NUMBER, "work": TEXT, "sex": TEXT}).filter(bool)


@settings(deadline=None)
@given(st.lists(RECORD, max_size=6))
def test_requests_and_examples_give_the_same_inputs(records: list[dict[str, Any]]) -> None:
    table = PREPROCESSOR.decode(records)
    again = PREPROCESSOR.decode(PREPROCESSOR.encode(table))
    assert again.equals(table)
    ours, theirs = PREPROCESSOR.inputs(records), PREPROCESSOR.transform(table)
    assert ours.keys() == theirs.keys() == {"numbers", "categories"}
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])
    assert ours["numbers"].shape == (len(records), 2) and ours["categories"].shape == (len(records), 3)
    sizes = PREPROCESSOR.cardinalities["categories"]
    assert sizes == [4, 4, 2]
    assert ((ours["categories"] >= 0) & (ours["categories"] < sizes)).all()


def test_missing_rare_unseen_and_out_of_range_values_are_served() -> None:
    found = PREPROCESSOR.inputs(
        [
            {"age": 30, "gain": 2.5, "work": "State", "sex": "F"},
            {"age": None, "gain": math.nan, "work": None, "sex": math.nan},
            {"age": 1e12},
            {"work": "Astronaut", "sex": "?", "age": -5},
        ]
    )
    np.testing.assert_allclose(found["numbers"], [[0.5, 0.5], [0, -0.5], [1, -0.5], [-1, -0.5]])
    assert found["categories"].tolist() == [
        [3, 2, 0],
        [MISSING, MISSING, 1],
        [MISSING, MISSING, 1],
        [OTHER, MISSING, 1],
    ]


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        (None, "", "expected an object"),
        ([1], "", "expected an object"),
        ({}, "", "expected an object with fields among age, gain, work, sex"),
        ({"agee": 1}, "agee", "unknown field; allowed: age, gain, work, sex"),
        ({"<script>secret": 1}, "", "unknown field"),
        ({"s" * 100: 1}, "", "unknown field"),
        ({"age": "secret"}, "age", "expected a number or null"),
        ({"age": True}, "age", "expected a number or null"),
        ({"age": [1]}, "age", "expected a number or null"),
        ({"age": math.inf}, "age", "expected a finite number"),
        ({"age": 10**400}, "age", "expected a finite number"),
        ({"work": 5}, "work", "expected a text or null"),
        ({"work": ["secret"]}, "work", "expected a text or null"),
        ({"work": False}, "work", "expected a text or null"),
    ],
)
def test_a_refusal_names_record_and_field_but_no_content(record: Any, field: str, reason: str) -> None:
    with pytest.raises(BadRecord) as refused:
        PREPROCESSOR.inputs([{"age": 1}, record])
    assert (refused.value.row, refused.value.field) == (1, field)
    assert refused.value.reason.startswith(reason)
    assert "secret" not in str(refused.value)


def test_the_example_and_the_schema_are_natural() -> None:
    assert PREPROCESSOR.request_example() == {"age": 20, "gain": 0, "work": "Private", "sex": "M"}
    PREPROCESSOR.inputs([PREPROCESSOR.request_example()])
    schema = PREPROCESSOR.request_schema()
    assert list(schema["properties"]) == ["age", "gain", "work", "sex"]
    assert schema["properties"]["age"]["type"] == ["number", "null"]
    assert schema["properties"]["work"]["type"] == ["string", "null"]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    PREPROCESSOR.save(tmp_path)
    assert TASK.load_preprocessor(tmp_path) == PREPROCESSOR


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.just(math.nan), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=60).filter(
        lambda values: not all(map(math.isnan, values))
    )
)
def test_scores_keep_the_order_and_ignore_units(values: list[float]) -> None:
    column = np.array(values)
    fitted = Number.fit("x", column)
    scores = fitted.score(column)
    assert np.isfinite(scores).all()
    present = ~np.isnan(column)
    order = np.argsort(column[present], kind="stable")
    assert (np.diff(scores[present][order]) >= 0).all()
    assert fitted.gaps == (not present.all())
    np.testing.assert_allclose(Number.fit("x", column * 8).score(column * 8), scores)


def test_rare_categories_share_a_code() -> None:
    fitted = Category.fit("c", ["often"] * 10 + ["rare"] * 9 + [None])
    assert fitted.values == ["often"]
    assert fitted.codes(["often", "rare", "new", None]) == [2, OTHER, OTHER, MISSING]


def test_fingerprints_follow_the_content_alone() -> None:
    table = rows(60)
    found = TASK.fingerprints(table)
    turned = table.select(["label", "sex", "work", "gain", "age", "part", "id"]).take(list(range(59, -1, -1)))
    np.testing.assert_array_equal(TASK.fingerprints(turned)[::-1], found)
    assert TASK.fingerprints(rows(3)).tolist() == TASK.fingerprints(rows(60).slice(0, 3)).tolist()
    changed = table.set_column(5, "sex", [["M"] * 60])
    assert (TASK.fingerprints(changed) != found).sum() == 30


def test_fingerprints_are_of_these_bytes_so_that_splits_stay_as_they_were() -> None:
    numbers, texts = [1.5, -0.0, None, 1e300], ["é", None, "", "é"]
    table = pa.table({"n": pa.array(numbers, pa.float64()), "t": pa.array(texts, pa.string())})
    packed = [
        (b"\0" if number is None else b"\2" + struct.pack("<d", number + 0.0))
        + (b"\0" if text is None else b"\1" + struct.pack("<q", len(text.encode())) + text.encode())
        for number, text in zip(numbers, texts, strict=True)
    ]
    expected = [int.from_bytes(hashlib.blake2b(row, digest_size=8).digest(), "little") for row in packed]
    assert TASK.fingerprints(table).tolist() == expected
