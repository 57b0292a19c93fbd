"""Shifts: repeatable, stronger with severity, and nothing is touched that they are not about."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from closedloop.data.array_columns import to_column
from closedloop.errors import ConfigError, DataError
from closedloop.tasks.images.request import pixels
from closedloop.tasks.images.shifts import CORRUPTIONS, shift

SCENARIOS = [*CORRUPTIONS, "imbalance"]


@pytest.fixture(scope="module")
def examples() -> pa.Table:
    digits = load_digits()
    images = np.round(digits.images[:400] * 255 / 16).astype(np.uint8)
    labels = [str(label) for label in digits.target[:400]]
    return pa.table({"id": [f"all-{row:06d}" for row in range(400)], "image": to_column(images), "label": labels})


def favoured_share(table: pa.Table) -> float:
    """Of the three most frequent classes."""
    return float(np.sort(np.unique(table.column("label").to_pylist(), return_counts=True)[1])[-3:].sum()) / len(table)


def test_none_changes_nothing(examples: pa.Table) -> None:
    assert shift(examples, "none", 5, np.random.default_rng(0)).equals(examples)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_generator_gives_the_same_shift(examples: pa.Table, scenario: str) -> None:
    first, again, other = (shift(examples, scenario, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(examples)
    assert scenario in ("blur", "contrast", "inversion") or not first.equals(other)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_form_and_number_of_the_examples_stay(examples: pa.Table, scenario: str) -> None:
    shifted = shift(examples, scenario, 4, np.random.default_rng(0))
    assert shifted.schema == examples.schema
    assert shifted.num_rows == examples.num_rows
    assert pixels(shifted).dtype == np.uint8


@pytest.mark.parametrize("scenario", CORRUPTIONS)
def test_corruptions_leave_ids_and_labels_alone_and_grow_with_severity(examples: pa.Table, scenario: str) -> None:
    before, changes = pixels(examples).astype(float), []
    for severity in range(1, 6):
        shifted = shift(examples, scenario, severity, np.random.default_rng(0))
        assert shifted.drop_columns(["image"]).equals(examples.drop_columns(["image"]))
        changes.append(np.abs(pixels(shifted) - before).mean())
    assert changes[0] > 0
    assert all(weaker < stronger for weaker, stronger in pairwise(changes))


def test_imbalance_grows_with_severity_and_keeps_each_example_whole(examples: pa.Table) -> None:
    known = {(row["id"], row["label"], str(row["image"])) for row in examples.to_pylist()}
    shares = [favoured_share(examples)]
    for severity in range(1, 6):
        shifted = shift(examples, "imbalance", severity, np.random.default_rng(0))
        assert {(row["id"], row["label"], str(row["image"])) for row in shifted.to_pylist()} <= known
        shares.append(favoured_share(shifted))
    assert all(less < more for less, more in pairwise(shares))
    assert shares[-1] > 0.8


def test_imbalance_repeats_no_example_before_all_of_its_class_are_used(examples: pa.Table) -> None:
    shifted = shift(examples, "imbalance", 1, np.random.default_rng(0))
    available = dict(zip(*np.unique(examples.column("label").to_pylist(), return_counts=True), strict=True))
    for label, drawn in zip(*np.unique(shifted.column("label").to_pylist(), return_counts=True), strict=True):
        ids = shifted.filter(pa.array(np.array(shifted.column("label").to_pylist()) == label)).column("id").to_pylist()
        assert len(set(ids)) == min(drawn, available[label])


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(1, 5), st.integers(0, 100))
def test_imbalance_works_for_any_number_of_classes(classes: int, severity: int, seed: int) -> None:
    labels = [str(row % classes) for row in range(60)]
    table = pa.table({"image": to_column(np.zeros((60, 4, 4), np.uint8)), "label": labels})
    assert shift(table, "imbalance", severity, np.random.default_rng(seed)).num_rows == 60


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_slice_of_a_table_is_shifted_as_its_copy_is(examples: pa.Table, scenario: str) -> None:
    part = examples.slice(150, 100)
    copy = pa.table({"id": part["id"], "image": to_column(pixels(examples)[150:250]), "label": part["label"]})
    shifted, expected = (shift(table, scenario, 3, np.random.default_rng(0)) for table in (part, copy))
    assert shifted.to_pylist() == expected.to_pylist()


def test_rotation_turns_both_ways(examples: pa.Table) -> None:
    same = pa.concat_tables([examples.slice(1, 1)] * 40)
    turned = pixels(shift(same, "rotation", 3, np.random.default_rng(0)))
    assert len({image.tobytes() for image in turned}) == 2


@pytest.mark.parametrize("labels", [None, ["1", None, "2"]])
def test_imbalance_without_labels_says_what_it_lacks(labels: list[str | None] | None) -> None:
    columns = {"image": to_column(np.zeros((3, 4, 4), np.uint8))}
    table = pa.table(columns if labels is None else {**columns, "label": labels})
    with pytest.raises(DataError, match="imbalance needs a label for every example"):
        shift(table, "imbalance", 3, np.random.default_rng(0))


def test_unknown_scenarios_and_severities_are_named_with_what_is_allowed(examples: pa.Table) -> None:
    with pytest.raises(ConfigError, match=r"traffic.scenario must be one of none, noise.*, not 'fog'"):
        shift(examples, "fog", 3, np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"traffic.severity must be from 1 to 5, not 6"):
        shift(examples, "blur", 6, np.random.default_rng(0))
