"""Tests and distances, held against what is known of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp

from closedloop.monitoring.two_sample import CATEGORY, NUMBER, contingency, cramers_v, distance, p_value, rise

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40).map(lambda values: pd.Series(values, dtype=float))
categories = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60).map(
    lambda values: pd.Series(values, dtype=object)
)


def series(**counts: int) -> pd.Series:
    return pd.Series([name for name, count in counts.items() for _ in range(count)], dtype=object)


@settings(deadline=None, max_examples=60)
@given(st.one_of(st.tuples(numbers, numbers, st.just(NUMBER)), st.tuples(categories, categories, st.just(CATEGORY))))
def test_both_are_within_0_and_1_symmetric_and_blind_to_order(pair: tuple[pd.Series, pd.Series, str]) -> None:
    first, second, kind = pair
    turned = first.iloc[::-1].reset_index(drop=True)
    for measure in (p_value, distance):
        value = measure(kind, first, second)
        assert 0 <= value <= 1 + 1e-12
        assert measure(kind, second, first) == pytest.approx(value)
        assert measure(kind, turned, second) == pytest.approx(value)


@settings(deadline=None)
@given(st.one_of(st.tuples(numbers, st.just(NUMBER)), st.tuples(categories, st.just(CATEGORY))))
def test_a_sample_does_not_differ_from_itself(pair: tuple[pd.Series, str]) -> None:
    sample, kind = pair
    assert distance(kind, sample, sample) == 0
    assert p_value(kind, sample, sample) == pytest.approx(1)


def test_missing_and_infinite_values_are_left_out() -> None:
    first, second = pd.Series([1.0, 2.0, np.nan, np.inf]), pd.Series([1.0, 2.0, -np.inf])
    assert distance(NUMBER, first, second) == 0
    assert distance(CATEGORY, pd.Series(["a", None]), pd.Series(["a", "a"])) == 0


def test_numbers_are_tested_by_kolmogorov_and_smirnov() -> None:
    rng = np.random.default_rng(0)
    first, second = pd.Series(rng.normal(size=300)), pd.Series(rng.normal(0.3, 1, 200))
    assert p_value(NUMBER, first, second) == ks_2samp(first, second).pvalue
    assert distance(NUMBER, first, second) == pytest.approx(ks_2samp(first, second).statistic)


def test_common_categories_are_tested_as_they_are() -> None:
    first, second = series(a=100, b=50, c=30), series(a=60, b=60, c=20)
    expected = chi2_contingency([[100, 50, 30], [60, 60, 20]], correction=False).pvalue
    assert p_value(CATEGORY, first, second) == pytest.approx(expected)


def test_rare_categories_are_counted_as_one() -> None:
    table = contingency(series(a=500, b=400, c=3, d=2), series(a=50, b=40, e=1))
    assert table.tolist() == [[5, 400, 500], [1, 40, 50]]


def test_one_row_of_an_unseen_category_is_no_proof_of_anything() -> None:
    reference = series(a=5000, b=5000)
    assert p_value(CATEGORY, reference, series(a=250, b=249, new=1)) > 0.05
    # what a plain chi-square makes of it
    assert chi2_contingency([[5000, 5000, 0], [250, 249, 1]]).pvalue < 1e-4
    assert p_value(CATEGORY, reference, series(a=230, b=230, new=40)) < 1e-12


def test_a_rare_category_that_becomes_common_is_found_at_once() -> None:
    reference = series(a=5000, b=4990, rare=10)
    assert p_value(CATEGORY, reference, series(a=135, b=135, rare=30)) < 1e-12
    assert p_value(CATEGORY, series(no=9990, yes=10), series(no=270, yes=30)) < 1e-12


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(2, 20))
def test_the_effect_does_not_depend_on_how_large_the_reference_is(a: int, b: int, times: int) -> None:
    table = np.array([[a, b, 50], [50, 60, 70]])
    assert cramers_v(table * np.array([[times], [1]])) == pytest.approx(cramers_v(table))


def test_the_effect_is_cramers_v_for_samples_of_one_size() -> None:
    table = np.array([[40, 30, 30], [20, 50, 30]])
    assert cramers_v(table) == pytest.approx(np.sqrt(chi2_contingency(table).statistic / table.sum()))
    assert cramers_v(np.array([[10, 0], [0, 300]])) == 1


@pytest.mark.parametrize(
    "shares",
    [
        [0.5, 0.3, 0.1, 0.05, 0.02, 0.01, 0.01, 0.005, 0.005],
        [0.6, 0.39, 0.004, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001],
    ],
)
def test_the_chi_square_holds_its_level_with_rare_categories(shares: list[float]) -> None:
    rng, rejected = np.random.default_rng(0), 0
    for _ in range(400):
        reference, window = (pd.Series(rng.choice(list("abcdefghi"), n, p=shares), dtype=object) for n in (1000, 200))
        rejected += p_value(CATEGORY, reference, window) < 0.05
    assert rejected / 400 < 0.08  # 0.05 and three standard errors


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.5, 0.999))
def test_the_rise_lies_in_its_interval_and_turns_its_sign_with_the_sides(x: int, y: int, confidence: float) -> None:
    there, back = rise(x, 300, y, 300, confidence), rise(y, 300, x, 300, confidence)
    assert there.low <= there.value <= there.high
    assert there.low == pytest.approx(-back.high)


def test_the_rise_has_newcombes_interval() -> None:
    found = rise(56, 70, 48, 80, 0.95)  # the first example of his table II
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(0.6, 0.9), st.floats(0.91, 0.999))
def test_more_confidence_makes_the_interval_wider(x: int, less: float, more: float) -> None:
    assume(less < more)
    assert rise(x, 100, 5, 200, more).low <= rise(x, 100, 5, 200, less).low
