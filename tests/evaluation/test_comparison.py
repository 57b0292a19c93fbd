import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from closedloop.errors import DataError
from closedloop.evaluation.comparison import compare, tango
from closedloop.evaluation.predictions import Predictions


def answers(correct: np.ndarray, confidence: float = 0.8) -> Predictions:
    """Two-class predictions that are right where `correct` says so."""
    labels = np.arange(len(correct)) % 2
    said = np.where(correct, labels, 1 - labels)
    probabilities = np.where(np.eye(2)[said] == 1, confidence, 1 - confidence)
    return Predictions([f"e{i}" for i in range(len(correct))], labels, probabilities, ["no", "yes"])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[int, int, int]:
    """won, lost, pairs"""
    total = draw(st.integers(1, 400))
    won = draw(st.integers(0, total))
    return won, draw(st.integers(0, total - won)), total


@given(pairs(), st.sampled_from([0.8, 0.95, 0.99]))
def test_tango_holds_the_gain_and_agrees_with_mcnemar(drawn: tuple[int, int, int], confidence: float) -> None:
    won, lost, total = drawn
    low, high = tango(won, lost, total, confidence)
    assert -1 <= low <= (won - lost) / total <= high <= 1
    z = norm.ppf((1 + confidence) / 2)
    distance = abs(won - lost) - z * np.sqrt(won + lost)
    if abs(distance) > 1e-6:
        assert (low > 0 or high < 0) == (distance > 0)


@given(pairs())
@example((0, 210, 218))  # the textbook root of the quadratic loses ten digits here
def test_tango_is_symmetric(drawn: tuple[int, int, int]) -> None:
    won, lost, total = drawn
    low, high = tango(won, lost, total, 0.95)
    assert tango(lost, won, total, 0.95) == pytest.approx((-high, -low), abs=1e-10)


@settings(max_examples=30)
@given(pairs())
def test_at_its_ends_the_score_statistic_is_the_normal_quantile(drawn: tuple[int, int, int]) -> None:
    """The maximum likelihood under the difference is found by search here, in closed form there."""
    won, lost, total = drawn
    low, high = tango(won, lost, total, 0.95)
    for end in (low, high):
        if abs(end) > 1 - 1e-6 or min(won, lost) == 0:
            continue

        def loss(losing: float, end: float = end) -> float:
            shares = np.array([losing + end, losing, 1 - 2 * losing - end])
            counts = np.array([won, lost, total - won - lost])
            return float(-(counts[counts > 0] * np.log(np.maximum(shares[counts > 0], 1e-300))).sum())

        losing = minimize_scalar(loss, bounds=(max(0, -end), (1 - end) / 2), options={"xatol": 1e-12}).x
        deviation = np.sqrt(total * (2 * losing + end - end**2))
        assert abs(won - lost - total * end) / deviation == pytest.approx(norm.ppf(0.975), rel=1e-3)


def test_tango_holds_its_level_where_few_pairs_differ() -> None:
    rng = np.random.default_rng(0)
    draws = rng.multinomial(300, [0.02, 0.02, 0.96], size=1500)  # no difference, about 12 discordant pairs
    above = np.mean([tango(int(won), int(lost), 300, 0.95)[0] > 0 for won, lost, _ in draws])
    assert above < 0.04  # the nominal level is 0.025


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_a_model_against_itself_is_a_tie(metric: str) -> None:
    same = answers(np.arange(50) % 5 > 0)
    found = compare(same, same, metric, 0.95)
    assert found.gain == 0
    assert found.low <= 0 <= found.high


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_a_clear_gain_is_found_in_one_direction_only(metric: str) -> None:
    better, worse = answers(np.arange(200) % 20 > 0), answers(np.arange(200) % 20 > 3)
    won, lost = compare(better, worse, metric, 0.95), compare(worse, better, metric, 0.95)
    assert won.low > 0
    assert lost.high < 0
    assert (won.gain, won.challenger, won.champion) == pytest.approx((-lost.gain, lost.champion, lost.challenger))


def test_more_confident_right_answers_are_a_gain_in_log_loss_alone() -> None:
    correct = np.arange(100) % 25 > 0
    sure, unsure = answers(correct, 0.9), answers(correct, 0.6)
    assert compare(sure, unsure, "log_loss", 0.95).low > 0
    assert compare(sure, unsure, "accuracy", 0.95).gain == 0


def test_rows_and_classes_may_stand_in_another_order() -> None:
    challenger, champion = answers(np.arange(60) % 6 > 0), answers(np.arange(60) % 4 > 0)
    order = np.random.default_rng(0).permutation(60)
    shuffled = Predictions(
        [champion.ids[i] for i in order],
        1 - champion.labels[order],
        champion.probabilities[order][:, ::-1],
        champion.classes[::-1],
    )
    for metric in ("accuracy", "log_loss"):
        assert compare(challenger, shuffled, metric, 0.95) == compare(challenger, champion, metric, 0.95)


def test_three_classes_in_another_order_are_told_apart() -> None:
    labels = np.arange(30) % 3
    one = Predictions([str(i) for i in range(30)], labels, np.eye(3)[labels], ["a", "b", "c"])
    other = Predictions(one.ids, (labels + 1) % 3, np.eye(3)[(labels + 1) % 3], ["c", "a", "b"])
    found = compare(one, other, "accuracy", 0.95)
    assert (found.challenger, found.champion, found.gain) == (1, 1, 0)


def test_other_examples_labels_or_classes_are_refused() -> None:
    one = answers(np.ones(40, bool))
    with pytest.raises(DataError, match="not run on the same examples: 40 have no partner"):
        compare(
            one,
            Predictions([f"x{i}" for i in range(20)] + one.ids[:20], one.labels, one.probabilities, one.classes),
            "accuracy",
            0.95,
        )
    with pytest.raises(DataError, match="different labels, first e0"):
        compare(one, Predictions(one.ids, 1 - one.labels, one.probabilities, one.classes), "accuracy", 0.95)
    with pytest.raises(DataError, match="same classes"):
        compare(one, Predictions(one.ids, one.labels, one.probabilities, ["no", "maybe"]), "accuracy", 0.95)
    with pytest.raises(DataError, match="twice"):
        compare(one, Predictions(["e0"] * 40, one.labels, one.probabilities, one.classes), "accuracy", 0.95)


def test_too_few_examples_for_a_bootstrap_are_refused() -> None:
    one, other = answers(np.ones(12, bool), 0.9), answers(np.ones(12, bool), 0.6)
    with pytest.raises(DataError, match="12 test examples are too few"):
        compare(one, other, "log_loss", 0.95)
    assert compare(one, other, "accuracy", 0.95).gain == 0


def test_the_seed_decides() -> None:
    one, other = answers(np.arange(60) % 6 > 0, 0.9), answers(np.arange(60) % 4 > 0, 0.6)
    assert compare(one, other, "log_loss", 0.95, seed=4) == compare(one, other, "log_loss", 0.95, seed=4)
    assert compare(one, other, "log_loss", 0.95, seed=4) != compare(one, other, "log_loss", 0.95, seed=5)
