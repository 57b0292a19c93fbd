"""How alike two samples are: the figures against their definitions, and against what is known of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from scipy.spatial.distance import cdist

from closedloop.config import Evaluation
from closedloop.data.examples import read_examples
from closedloop.evaluation import likeness
from closedloop.evaluation.comparison import compare
from closedloop.evaluation.generation import frechet_distance
from closedloop.evaluation.likeness import among, energy_scores, frechet, nearest
from closedloop.evaluation.outcomes import Outcomes


def samples(seed: int, rows: int = 200, columns: int = 3, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)), rng.normal(size=(rows + 7, columns)) + shift


@given(st.integers(0, 100), st.integers(1, 4))
def test_distances_of_samples_are_those_of_their_definitions(seed: int, columns: int) -> None:
    real, made = samples(seed, 40, columns)
    far, within = cdist(real, made), cdist(made, made)
    wanted = far.mean(axis=1) - within.sum() / (len(made) * (len(made) - 1)) / 2
    np.testing.assert_allclose(energy_scores(real, made)[0], wanted, atol=1e-6)
    rows, distance = nearest(real, made)
    np.testing.assert_array_equal(rows, far.argmin(axis=1))
    np.testing.assert_allclose(distance, far.min(axis=1), atol=1e-6)
    radii = np.sort(within, axis=1)[:, 3]  # the first is itself
    np.testing.assert_array_equal(among(real, made), (far <= radii).any(axis=1))


@given(st.integers(0, 100))
def test_the_frechet_distance_is_the_closed_one_of_normal_distributions(seed: int) -> None:
    one, other = samples(seed, shift=0.5)
    covariances = [np.cov(sample, rowvar=False) for sample in (one, other)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    between = ((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
    wanted = between + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet(one, other) == pytest.approx(wanted, rel=1e-6)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("fault", ["moved", "wider", "one point"])
def test_a_faithful_imitation_scores_best(fault: str) -> None:
    rng = np.random.default_rng(0)
    real, faithful = rng.normal(size=(2000, 4)), rng.normal(size=(2000, 4))
    faulty = {"moved": faithful + 0.5, "wider": faithful * 1.6, "one point": faithful * 0.02}[fault]
    assert energy_scores(real, faulty)[0].mean() > energy_scores(real, faithful)[0].mean()
    assert frechet(real, faulty) > 5 * frechet(real, faithful)


def test_precision_and_recall_tell_which_of_the_two_fails() -> None:
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 20])
    half = rng.normal(size=(600, 2))  # one of the two heaps alone
    assert among(half, real).mean() > 0.9
    assert 0.4 < among(real, half).mean() < 0.6
    astray = np.concatenate([half[:300], rng.normal(size=(300, 2)) - 40])
    assert 0.4 < among(astray, real).mean() < 0.6


def test_large_samples_are_gone_through_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = samples(3)
    whole = energy_scores(real, made), among(real, made), nearest(real, made)
    monkeypatch.setattr(likeness, "BLOCK", 500)
    blocks = energy_scores(real, made), among(real, made), nearest(real, made)
    np.testing.assert_allclose(whole[0][0], blocks[0][0])
    assert whole[0][1] == pytest.approx(blocks[0][1])
    np.testing.assert_array_equal(whole[1], blocks[1])
    np.testing.assert_array_equal(whole[2][0], blocks[2][0])


def outcomes(real: np.ndarray, made: np.ndarray) -> Outcomes:
    scores, noise = energy_scores(real, made)
    return Outcomes([str(row) for row in range(len(real))], "energy_score", scores, noise)


def test_two_draws_of_one_generator_are_seldom_taken_for_two_that_differ() -> None:
    rng, better, worse = np.random.default_rng(0), 0, 0
    for _ in range(300):
        real, one, other = (rng.normal(size=(120, 3)) for _ in range(3))
        found = compare(outcomes(real, one), outcomes(real, other), "energy_score", 0.95, resamples=200)
        better, worse = better + (found.low > 0), worse + (found.high < 0)
    assert better <= 16 and worse <= 16  # 2.5% are 7.5; without the noise of what was made they are 60 and more


def test_a_better_generator_is_still_told() -> None:
    rng = np.random.default_rng(0)
    real, faithful, moved = rng.normal(size=(300, 3)), rng.normal(size=(300, 3)), rng.normal(size=(300, 3)) + 0.7
    found = compare(outcomes(real, faithful), outcomes(real, moved), "energy_score", 0.95)
    assert found.low > 0 and "noise of what was made" in found.method


def test_the_noise_is_how_much_the_mean_score_varies_with_what_was_made(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(200, 3)) + 1
    drawn = [outcomes(real, rng.normal(size=(100, 3))) for _ in range(200)]
    spread = np.std([one.values.mean() for one in drawn])
    assert np.mean([one.noise for one in drawn]) == pytest.approx(spread, rel=0.15)
    drawn[0].write(tmp_path / "predictions.parquet")
    assert Outcomes.from_table(read_examples(tmp_path / "predictions.parquet")).noise == drawn[0].noise


@pytest.mark.parametrize(("moved", "truth"), [(0.0, 0.0), (0.5, 1.0)])
def test_the_interval_of_the_frechet_distance_holds_the_true_one(moved: float, truth: float) -> None:
    rng, config = np.random.default_rng(1), Evaluation(confidence=0.95, resamples=100, seed=0, calibration_bins=10)
    found = [frechet_distance(rng.normal(size=(150, 4)), rng.normal(size=(150, 4)) + moved, config) for _ in range(60)]
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.85
    assert all(0 <= one.low <= one.value <= one.high for one in found)
