"""The gate, tested both ways: what must not pass, and what must."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.config import AnyGate, ClassGate
from closedloop.evaluation.comparison import Comparison, compare
from closedloop.evaluation.gate import Verdict, judge
from closedloop.evaluation.predictions import Predictions

GATE = ClassGate(
    target="classes",
    min_accuracy=0.9,
    min_macro_f1=0.9,
    max_calibration_error=0.1,
    min_class_recall=0.8,
    max_latency_ms=50,
    max_size_mb=10,
)


def report(**changed: Any) -> dict[str, Any]:
    """An evaluation that meets every floor of GATE, but for what is changed."""
    figures = {"accuracy": 0.96, "macro_f1": 0.955, "log_loss": 0.1, "calibration_error": 0.02, "recall": 0.93}
    figures |= {"latency": 2.0, "size": 4e5, **changed}
    names = ("accuracy", "macro_f1", "log_loss", "calibration_error")
    return {
        "examples": 400,
        "metrics": {name: {"value": figures[name]} for name in names},
        "classes": [{"class": "0", "recall": 0.99}, {"class": "8", "recall": figures["recall"]}],
        "serving": {"latency_ms_p95": figures["latency"], "size_bytes": figures["size"]},
    }


def comparison(low: float, gain: float, high: float, **changed: Any) -> Comparison:
    found = Comparison("accuracy", 400, 0.96, 0.96 - gain, gain, low, high, 0.95, "given")
    return replace(found, **changed)


def verdict(
    evaluation: dict[str, Any],
    found: Comparison | None,
    gate: AnyGate = GATE,
    champion: int | None = 3,
    parity: float = 1e-6,
) -> Verdict:
    judged = judge(evaluation, found, gate, champion_version=champion, parity_error=parity)
    assert judged.reasons  # always, whatever the decision
    assert judged.promote == all(check.passed for check in judged.checks)
    json.dumps(judged.as_dict(), allow_nan=False)  # it is recorded as JSON
    return judged


BETTER = comparison(0.01, 0.02, 0.03)
BROKEN = {
    "accuracy": (0.89, "gate.min_accuracy"),
    "macro_f1": (0.89, "gate.min_macro_f1"),
    "calibration_error": (0.11, "gate.max_calibration_error"),
    "recall": (0.79, "gate.min_class_recall"),
    "latency": (51, "gate.max_latency_ms"),
    "size": (10_000_001, "gate.max_size_mb"),
}


def test_the_first_model_needs_the_floors_alone() -> None:
    judged = verdict(report(), None, champion=None)
    assert judged.promote
    assert judged.reasons == ["the first champion: every floor is met"]


@pytest.mark.parametrize("floor", BROKEN)
@pytest.mark.parametrize("champion", [None, 3])
def test_a_broken_floor_stops_promotion_and_is_named(floor: str, champion: int | None) -> None:
    value, key = BROKEN[floor]
    found = replace(BETTER, challenger=value) if floor == "accuracy" else BETTER
    judged = verdict(report(**{floor: value}), found if champion else None, champion=champion)
    assert not judged.promote
    assert len(judged.reasons) == 1
    assert key in judged.reasons[0]


@pytest.mark.parametrize("floor", BROKEN)
@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_figure_that_is_not_known_stops_promotion(floor: str, value: float | None) -> None:
    judged = verdict(report(**{floor: value}), BETTER)
    assert not judged.promote
    assert "is not known" in judged.reasons[0]


def test_a_recall_that_is_not_known_stops_promotion_even_without_a_floor() -> None:
    evaluation = report()
    evaluation["classes"] = [{"class": "0", "recall": 0.0}, {"class": "8", "recall": None}]
    judged = verdict(evaluation, BETTER, GATE.model_copy(update={"min_class_recall": 0.0}))
    assert not judged.promote


@pytest.mark.parametrize("section", ["metrics", "classes", "serving", "examples"])
def test_a_missing_part_of_the_evaluation_stops_promotion(section: str) -> None:
    assert not verdict({key: part for key, part in report().items() if key != section}, BETTER).promote


@pytest.mark.parametrize("parity", [2e-4, math.nan, math.inf])
def test_a_served_model_that_differs_from_torch_stops_promotion(parity: float) -> None:
    assert not verdict(report(), BETTER, parity=parity).promote
    assert not verdict(report(), None, champion=None, parity=parity).promote


def test_exactly_at_the_floors_passes() -> None:
    exact = report(accuracy=0.9, macro_f1=0.9, calibration_error=0.1, recall=0.8, latency=50, size=10e6)
    assert verdict(exact, None, champion=None, parity=GATE.max_parity_error).promote


def test_without_a_comparison_the_champion_stays() -> None:
    judged = judge(report(), None, GATE, champion_version=3, parity_error=0, missing="version 3 does not load")
    assert not judged.promote
    assert judged.reasons == ["no proof against the champion, version 3: version 3 does not load"]
    assert not verdict(report(), None, champion=0).promote  # None alone means that there is no champion


@pytest.mark.parametrize(
    ("flawed", "why"),
    [
        (comparison(math.nan, 0.02, 0.03), "not finite"),
        (comparison(0.01, 0.02, math.inf), "not finite"),
        (comparison(0.03, 0.02, 0.01), "outside its own interval"),
        (replace(BETTER, metric="log_loss"), "log_loss was compared"),
        (replace(BETTER, confidence=0.5), "gate.confidence asks for 0.95"),
        (replace(BETTER, examples=399), "399 examples were compared, 400 evaluated"),
        (replace(BETTER, challenger=0.97), "0.97 there and 0.96 in its evaluation"),
    ],
)
def test_a_comparison_that_proves_nothing_keeps_the_champion(flawed: Comparison, why: str) -> None:
    judged = verdict(report(), flawed)
    assert not judged.promote
    assert why in judged.reasons[0]


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2))
def test_promotion_exactly_when_the_whole_interval_lies_above_the_minimum(
    gain: float, below: float, above: float, minimum: float
) -> None:
    found = comparison(gain - below, gain, gain + above)
    judged = verdict(report(), found, GATE.model_copy(update={"min_gain": minimum}))
    assert judged.promote == (found.low > minimum)
    if gain <= 0:
        assert not judged.promote
    if not judged.promote and gain < 0 and found.high < 0:
        assert judged.reasons[0].startswith("worse")
    if judged.promote:
        assert "version 3" in judged.reasons[0]


def evaluated(correct: np.ndarray) -> tuple[Predictions, dict[str, Any]]:
    labels = np.arange(len(correct)) % 2
    probabilities = np.where(np.eye(2)[np.where(correct, labels, 1 - labels)] == 1, 0.9, 0.1)
    found = Predictions([str(i) for i in range(len(correct))], labels, probabilities, ["0", "8"])
    return found, {**report(accuracy=float(correct.mean())), "examples": len(correct)}


LAX = GATE.model_copy(update={"min_accuracy": 0.0})
OUTCOMES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300)


@given(OUTCOMES)
def test_from_the_answers_on_a_worse_or_equal_model_is_never_promoted(outcomes: list[tuple[bool, bool]]) -> None:
    first, second = np.array(outcomes).T
    for new, old in ((first, second), (second, first), (first, first)):
        if new.sum() > old.sum():
            continue
        (challenger, evaluation), (champion, _) = evaluated(new), evaluated(old)
        assert not verdict(evaluation, compare(challenger, champion, "accuracy", 0.95), LAX).promote


@given(st.integers(100, 500), st.floats(0, 0.5), st.integers(0, 1000))
def test_from_the_answers_on_a_clearly_better_model_is_always_promoted(rows: int, errors: float, seed: int) -> None:
    new = np.random.default_rng(seed).random(rows) >= errors
    old = new.copy()
    old[np.flatnonzero(new)[: max(5, rows // 10)]] = False  # right nowhere else, wrong on a tenth more
    (challenger, evaluation), (champion, _) = evaluated(new), evaluated(old)
    assert verdict(evaluation, compare(challenger, champion, "accuracy", 0.95), LAX).promote


@given(OUTCOMES)
def test_the_champion_against_itself_is_a_tie(outcomes: list[tuple[bool, bool]]) -> None:
    same, evaluation = evaluated(np.array(outcomes)[:, 0])
    judged = verdict(evaluation, compare(same, same, "accuracy", 0.95), LAX)
    assert not judged.promote
    assert judged.reasons[0].startswith("a tie")


@given(st.floats(0.85, 1), st.floats(0, 0.1), st.floats(-0.1, 0.1), st.floats(0, 0.05))
def test_a_better_figure_never_turns_promotion_into_refusal(
    accuracy: float, more: float, low: float, rise: float
) -> None:
    better = min(1.0, accuracy + more)
    before = verdict(report(accuracy=accuracy), comparison(low, low + 0.01, low + 0.02, challenger=accuracy))
    after = verdict(
        report(accuracy=better), comparison(low + rise, low + rise + 0.01, low + rise + 0.02, challenger=better)
    )
    assert after.promote or not before.promote


def test_every_check_tells_what_was_found_and_asked_for() -> None:
    judged = verdict(report(recall=0.7), BETTER)
    assert [check.name for check in judged.checks if not check.passed] == ["worst class recall"]
    failed = next(check for check in judged.checks if not check.passed)
    assert (failed.found, failed.bound) == (0.7, 0.8)
    assert judged.reasons == ["worst class recall (class 8) 0.7 is not at least 0.8 (gate.min_class_recall)"]


def test_the_floors_hold_on_the_official_examples_and_the_gain_alone_on_recent_ones() -> None:
    evaluation = report(accuracy=0.88, macro_f1=0.85, recall=0.6) | {"official": report()}
    known = comparison(-0.01, 0.0, 0.01, examples=300, challenger=0.92)
    recent = comparison(0.2, 0.3, 0.4, examples=100, challenger=0.76)
    judged = judge(evaluation, known, GATE, champion_version=3, parity_error=0, recent=recent)
    assert judged.promote, judged.reasons
    low = evaluation | {"official": report(accuracy=0.89)}
    judged = judge(low, known, GATE, champion_version=3, parity_error=0, recent=recent)
    assert judged.reasons == ["accuracy 0.89 is not at least 0.9 (gate.min_accuracy)"]


def over_baseline(low: float, gain: float) -> dict[str, Any]:
    return {"name": "3 nearest neighbours", "gains": {"accuracy": {"gain": gain, "low": low, "high": 2 * gain - low}}}


@pytest.mark.parametrize(
    ("baseline", "promoted"),
    [
        (over_baseline(0.001, 0.01), True),
        (over_baseline(0.0, 0.01), False),  # a tie with a simple model is no reason for a network
        (over_baseline(-0.02, 0.01), False),
        (over_baseline(math.nan, 0.01), False),
        ({}, False),
    ],
)
def test_a_network_must_beat_the_baseline_where_that_is_asked_for(baseline: dict[str, Any], promoted: bool) -> None:
    evaluation = report() | {"baseline": baseline}
    demanding = GATE.model_copy(update={"beat_baseline": True})
    found = verdict(evaluation, BETTER, demanding)
    assert found.promote == promoted
    assert ("baseline" in (found.missed_floor or "")) == (not promoted)
    assert verdict(evaluation, BETTER).promote


def test_the_baseline_is_compared_in_the_metric_of_the_gate() -> None:
    evaluation = report() | {"baseline": over_baseline(0.01, 0.02)}
    losses = GATE.model_copy(update={"beat_baseline": True, "metric": "log_loss"})
    judged = judge(evaluation, None, losses, champion_version=None, parity_error=0)
    assert judged.missed_floor == "the gain in log_loss over a baseline is unknown"
