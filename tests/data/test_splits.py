"""No content in two splits, whatever the data look like."""

import hashlib
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.config import Preprocess
from closedloop.data.examples import read_examples
from closedloop.data.splits import DROPPED, assign_splits, joined
from closedloop.errors import DataError
from closedloop.paths import SPLITS
from closedloop.preparation.preprocessing import preprocess

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


PARTS = ("feedback-00000001", "feedback-00000002", "feedback-00000003")


def with_feedback(
    seed: int, official: bool, sizes: list[int], overlap: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Base rows, then feedback parts whose content may stand in the base or in each other."""
    content, labels, parts = draw(seed, 400, 300, official)
    rng = np.random.default_rng(seed + 1)
    for name, size in zip(PARTS, sizes, strict=False):
        drawn = rng.integers(300 - overlap, 300 - overlap + 20 * size, size).astype(np.uint64)
        content = np.concatenate([content, drawn])
        labels = np.concatenate([labels, rng.choice(["0", "1", "2", "7"], size)])
        parts = np.concatenate([parts, np.full(size, name)])
    return content, labels, parts, PARTS[: len(sizes)]


FEEDBACK = st.lists(st.integers(1, 120), min_size=1, max_size=3)
OVERLAP = st.integers(0, 300)


@given(st.integers(0, 10_000), st.booleans(), FEEDBACK, OVERLAP)
def test_feedback_never_moves_an_earlier_example(seed: int, official: bool, sizes: list[int], overlap: int) -> None:
    content, labels, parts, feedback = with_feedback(seed, official, sizes, overlap)
    for count in range(len(feedback)):
        earlier = ~np.isin(parts, feedback[count:])
        before = assign_splits(content[earlier], labels[earlier], parts[earlier], CONFIG, feedback[:count])
        after = assign_splits(content, labels, parts, CONFIG, feedback)
        np.testing.assert_array_equal(before, after[earlier])


@given(st.integers(0, 10_000), st.booleans(), FEEDBACK, OVERLAP, st.integers(0, 10_000))
def test_with_feedback_no_content_is_in_two_splits_and_the_order_of_rows_does_not_matter(
    seed: int, official: bool, sizes: list[int], overlap: int, shuffle: int
) -> None:
    content, labels, parts, feedback = with_feedback(seed, official, sizes, overlap)
    splits = assign_splits(content, labels, parts, CONFIG, feedback)
    for split in SPLITS:
        others = (splits != split) & (splits != DROPPED)
        assert not np.isin(content[splits == split], content[others]).any()
    assert (splits[parts == "test"] == "test").all()
    assert not (splits[np.isin(parts, feedback)] == "production").any()
    # what stands in an earlier part is used there alone
    for number, name in enumerate(feedback):
        kept = (parts == name) & (splits != DROPPED)
        assert not np.isin(content[kept], content[~np.isin(parts, feedback[number:])]).any()
    order = np.random.default_rng(shuffle).permutation(len(content))
    again = assign_splits(content[order], labels[order], parts[order], CONFIG, feedback)
    assert (again == splits[order]).all()


@given(st.integers(0, 1000), st.integers(1, 400), st.lists(st.integers(0, 399), min_size=1, max_size=200))
def test_an_example_of_feedback_keeps_its_side_whatever_it_arrives_with(
    seed: int, size: int, arrived: list[int]
) -> None:
    """Else a partition that is built anew would test a model on what it has learnt from the one before."""
    config = CONFIG.model_copy(update={"seed": seed})

    def sides(fresh: np.ndarray) -> dict[int, str]:
        content = np.concatenate([np.arange(1000, 1300), fresh]).astype(np.uint64)
        parts = np.array(["all"] * 300 + [PARTS[0]] * len(fresh))
        splits = assign_splits(content, np.full(len(content), "a"), parts, config, PARTS[:1])[300:]
        return dict(zip(fresh.tolist(), splits.tolist(), strict=True))

    before, after = sides(np.arange(size)), sides(np.unique(arrived))
    assert all(after[example] == before[example] for example in before.keys() & after.keys())


def test_a_feedback_part_is_cut_in_about_its_shares() -> None:
    content = np.arange(10_300, dtype=np.uint64)
    parts = np.array(["all"] * 300 + [PARTS[0]] * 10_000)
    splits = assign_splits(content, np.full(10_300, "a"), parts, CONFIG, PARTS[:1])[300:]
    shares = {split: float((splits == split).mean()) for split in SPLITS}
    assert shares["test"] == pytest.approx(CONFIG.feedback_test_share, abs=0.02)
    assert shares["validation"] == pytest.approx(CONFIG.validation_share, abs=0.02)
    assert shares["production"] == 0


def test_a_feedback_part_that_is_known_already_adds_nothing() -> None:
    content = np.concatenate([np.arange(300), np.arange(50)]).astype(np.uint64)
    parts = np.array(["all"] * 300 + [PARTS[0]] * 50)
    splits = assign_splits(content, np.full(350, "a"), parts, CONFIG, PARTS[:1])
    assert set(splits[300:]) == {DROPPED}


def test_the_digits_are_cut_as_they_always_were(digits: Any) -> None:
    """Taken down before partitions existed: champions of that time are compared on the same test examples."""
    preprocess(digits.params, digits.paths)
    cut = {
        split: hashlib.sha256(
            "\n".join(read_examples(digits.paths.examples(split)).column("id").to_pylist()).encode()
        ).hexdigest()[:16]
        for split in SPLITS
    }
    assert cut == {
        "train": "aedb509f6e92aa71",
        "validation": "dac295c00e0ac29b",
        "test": "7c97f3712b41d286",
        "production": "f4058e4dddfb8b6c",
    }


GROUPS = st.lists(st.tuples(st.integers(0, 40), st.one_of(st.none(), st.sampled_from("abcdefgh"))), min_size=1)


@given(GROUPS, st.integers(0, 1000))
def test_rows_of_a_group_and_copies_stay_together_in_any_order(rows: list[tuple[int, str | None]], seed: int) -> None:
    content = np.array([value for value, _ in rows], np.uint64)
    groups = [group for _, group in rows]
    units = joined(content, groups)
    for row, group in enumerate(groups):
        same = [
            other for other in range(len(rows)) if content[other] == content[row] or (group and groups[other] == group)
        ]
        assert len(set(units[same].tolist())) == 1
    order = np.random.default_rng(seed).permutation(len(rows))
    np.testing.assert_array_equal(joined(content[order], [groups[row] for row in order]), units[order])


def test_contents_and_groups_without_a_tie_stay_apart() -> None:
    content = np.array([1, 2, 3, 4, 2], np.uint64)
    units = joined(content, ["a", "a", "b", None, "c"])
    assert units[0] == units[1] == units[4]
    assert len(set(units.tolist())) == 3
    assert units[3] == 4


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(30, 400),
    moments=st.integers(5, 400),
    distinct=st.integers(20, 1000),
    official=st.booleans(),
    grouped=st.booleans(),
)
def test_in_the_order_of_time_nothing_learnt_is_later_and_nothing_stands_in_two_splits(
    *, seed: int, rows: int, moments: int, distinct: int, official: bool, grouped: bool
) -> None:
    content, labels, parts = draw(seed, rows, distinct, official)
    rng = np.random.default_rng(seed)
    times = rng.integers(0, moments, rows).astype(float)
    groups = [f"g{value}" for value in rng.integers(0, rows, rows)]
    together = joined(content, groups) if grouped else content
    try:
        splits = assign_splits(content, labels, parts, CONFIG, together=together, times=times)
    except DataError:
        return  # too few moments, or chains that leave a split empty
    assert (splits[parts == "test"] == "test").all()
    ordered = [name for name in ("train", "validation", "test", "production") if name != "test" or not official]
    spans = [times[(splits == name) & (parts != "test")] for name in ordered]
    assert all(before.max() < after.min() for before, after in pairwise(spans))
    for name in SPLITS:
        others = (splits != name) & (splits != DROPPED)
        assert not np.isin(together[splits == name], together[others]).any()
    order = rng.permutation(rows)
    again = assign_splits(
        content[order], labels[order], parts[order], CONFIG, together=together[order], times=times[order]
    )
    np.testing.assert_array_equal(again, splits[order])


def test_times_are_cut_near_the_configured_shares_and_feedback_comes_after_them() -> None:
    content, times = np.arange(1100, dtype=np.uint64), np.arange(1100.0)
    times[1000:] = np.nan
    parts = np.array(["all"] * 1000 + ["feedback-00000001"] * 100)
    splits = assign_splits(content, np.full(1100, "a"), parts, CONFIG, ["feedback-00000001"], times=times)
    assert {name: int((splits[:1000] == name).sum()) for name in SPLITS} == {
        "train": 550, "validation": 100, "test": 200, "production": 150,
    }  # fmt: skip
    assert set(splits[1000:]) == {"train", "validation", "test"}


def test_what_comes_again_later_proves_nothing_and_is_dropped() -> None:
    content = np.array([*range(100), *range(10)], dtype=np.uint64)
    times = np.array([*range(100), *range(100, 110)], float)
    splits = assign_splits(content, np.full(110, "a"), np.full(110, "all"), CONFIG, times=times)
    assert set(splits[100:]) == {DROPPED} and set(splits[:10]) == {"train"}


def test_too_few_moments_are_named() -> None:
    with pytest.raises(DataError, match=r"3 distinct times, too few .* out of source\.format\.time"):
        assign_splits(
            np.arange(90, dtype=np.uint64), np.full(90, "a"), np.full(90, "all"), CONFIG, times=np.arange(90.0) % 3
        )


def test_of_the_copies_in_a_group_one_is_kept_and_the_rest_of_the_group_as_well() -> None:
    content = np.array([0, 0, 1, *range(10, 110)], dtype=np.uint64)
    together = joined(content, ["g", "g", "g", *(None for _ in range(100))])
    config = CONFIG.model_copy(update={"copies": "drop"})
    splits = assign_splits(content, np.full(103, "a"), np.full(103, "all"), config, together=together)
    assert splits[1] == DROPPED and splits[0] == splits[2] != DROPPED
