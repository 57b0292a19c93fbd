"""Evidently tests what it is told to, as it is told to, and its page runs nobody else's script."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from closedloop.config import Monitor
from closedloop.errors import DataError
from closedloop.monitoring.drift import comparable
from closedloop.monitoring.evidently_report import Report, compare
from closedloop.monitoring.two_sample import p_value

ATTACK = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module", autouse=True)
def private() -> Iterator[None]:
    os.environ["DO_NOT_TRACK"] = "1"
    yield


def mixed(rng: np.random.Generator, rows: int, shift: float = 0.0) -> pd.DataFrame:
    """Numbers with gaps and infinities, a constant, common, rare and hostile categories."""
    content = {
        "plain": rng.normal(shift, 1, rows),
        "tied": rng.integers(0, 5, rows).astype(float),
        "constant": np.ones(rows),
        "gaps": np.where(rng.random(rows) < 0.2, np.nan, rng.exponential(1 + shift, rows)),
        "infinite": np.where(rng.random(rows) < 0.05, np.inf, rng.normal(size=rows)),
        "word": pd.Series([f"w{rank}" for rank in rng.zipf(1.6, rows)], dtype=object),
        "prediction": pd.Series(rng.choice(["a", "b", "<b>", ATTACK], rows), dtype=object),
        f"name {ATTACK}": rng.normal(size=rows),
    }
    frame = pd.DataFrame({"id": [str(row) for row in range(rows)], **content, "label": None})
    frame.loc[3, "word"] = None
    return frame


@pytest.fixture(scope="module")
def case() -> tuple[pd.DataFrame, pd.DataFrame, Report]:
    rng = np.random.default_rng(0)
    reference, window = mixed(rng, 400), mixed(rng, 300, shift=0.2)
    window.loc[0, "word"] = "never seen before"
    return reference, window, compare(reference, window, Monitor())


def test_it_returns_the_p_values_that_the_benchmark_computes_directly(case: Any) -> None:
    reference, window, found = case
    direct = {
        name: p_value(kind, reference[name], window[name]) for name, kind in comparable(reference, window).items()
    }
    assert found.p_values == pytest.approx(direct, rel=1e-12)
    assert len(direct) == 8


def test_it_agrees_on_the_digits_too(answered: Any) -> None:
    reference, window = answered.reference, answered.window("blur", 1, 0)
    found = compare(reference, window, Monitor()).p_values
    kinds = comparable(reference, window)
    assert found == pytest.approx({name: p_value(kinds[name], reference[name], window[name]) for name in kinds})


def test_the_page_carries_no_foreign_script_and_loads_nothing(case: Any) -> None:
    page = case[2].html
    assert "<script>alert" not in page
    assert "alert(1)" in page  # the category is shown, as text
    assert 'src="http' not in page
    assert '<link rel="stylesheet" href="http' not in page


def test_a_column_without_values_on_one_side_is_left_to_the_missing_check() -> None:
    rng = np.random.default_rng(0)
    reference, window = mixed(rng, 120), mixed(rng, 120)
    window["plain"] = np.nan
    assert "plain" not in compare(reference, window, Monitor()).p_values


def test_long_frames_are_sampled_down_with_the_seed() -> None:
    rng = np.random.default_rng(0)
    reference, window = (pd.DataFrame({"x": rng.normal(size=3000), "prediction": "a"}) for _ in range(2))
    first, again, other = (
        compare(reference, window, Monitor(max_rows=500, seed=seed)).p_values["x"] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert first != pytest.approx(p_value("number", reference["x"], window["x"]))


def test_frames_that_cannot_be_compared_never_reach_it() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="the window has no rows"):
        compare(mixed(rng, 120), mixed(rng, 120).head(0), Monitor())
    with pytest.raises(DataError, match="tied differ"):
        compare(mixed(rng, 120), mixed(rng, 120).drop(columns="tied"), Monitor())
