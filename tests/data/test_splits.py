"""No content in two splits, whatever the data look like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.config import Preprocess
from closedloop.data.splits import DROPPED, assign_splits
from closedloop.errors import DataError
from closedloop.paths import SPLITS

CONFIG = Preprocess(seed=0, test_share=0.2, validation_share=0.1, production_share=0.15)


def draw(seed: int, rows: int, distinct: int, official: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    content = rng.integers(0, distinct, rows).astype(np.uint64)
    labels = np.array([str(value % 3) for value in content])
    parts = np.where(rng.random(rows) < 0.2, "test", "train") if official else np.full(rows, "all")
    return content, labels, parts


@given(st.integers(0, 10_000), st.integers(300, 600), st.integers(150, 1000), st.booleans())
def test_the_same_content_is_never_in_two_splits(seed: int, rows: int, distinct: int, official: bool) -> None:
    content, labels, parts = draw(seed, rows, distinct, official)
    splits = assign_splits(content, labels, parts, CONFIG)
    for split in SPLITS:
        others = (splits != split) & (splits != DROPPED)
        assert not np.isin(content[splits == split], content[others]).any()
    assert (splits[parts == "test"] == "test").all()
    assert set(splits) <= {*SPLITS, DROPPED}


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_order_of_the_rows_does_not_matter(seed: int, shuffle: int) -> None:
    content, labels, parts = draw(seed, 400, 300, official=False)
    splits = assign_splits(content, labels, parts, CONFIG)
    order = np.random.default_rng(shuffle).permutation(len(content))
    again = assign_splits(content[order], labels[order], parts[order], CONFIG)
    assert (again == splits[order]).all()


def test_each_class_is_cut_in_the_configured_shares() -> None:
    content = np.arange(3000, dtype=np.uint64)
    labels = np.array([str(value % 3) for value in content])
    splits = assign_splits(content, labels, np.full(3000, "all"), CONFIG)
    for label in "012":
        counts = {split: int(((splits == split) & (labels == label)).sum()) for split in SPLITS}
        assert counts == {"train": 550, "validation": 100, "test": 200, "production": 150}


def test_another_seed_cuts_otherwise() -> None:
    content, labels, parts = draw(0, 500, 5000, official=False)
    other = CONFIG.model_copy(update={"seed": 1})
    assert (assign_splits(content, labels, parts, CONFIG) != assign_splits(content, labels, parts, other)).any()


def test_most_assignments_survive_when_rows_are_added() -> None:
    content = np.arange(2000, dtype=np.uint64) * 7919
    labels = np.array([str(value % 2) for value in range(2000)])
    before = assign_splits(content[:1800], labels[:1800], np.full(1800, "all"), CONFIG)
    after = assign_splits(content, labels, np.full(2000, "all"), CONFIG)
    assert (before == after[:1800]).mean() > 0.95


def test_copies_of_official_test_examples_are_dropped_elsewhere() -> None:
    content = np.array([*range(100), 5, 6], dtype=np.uint64)
    parts = np.array(["test"] * 10 + ["train"] * 92)
    splits = assign_splits(content, np.full(102, "a"), parts, CONFIG)
    assert list(splits[100:]) == [DROPPED, DROPPED]


def test_an_empty_split_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match="test split is empty: 4 distinct examples"):
        assign_splits(np.arange(4, dtype=np.uint64), np.array(list("aabb")), np.full(4, "all"), CONFIG)
