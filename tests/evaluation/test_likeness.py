"""How alike two samples are: the figures against their definitions, and against what is known of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from scipy.spatial.distance import cdist

from closedloop.evaluation import likeness
from closedloop.evaluation.likeness import among, energy_scores, frechet, nearest


def samples(seed: int, rows: int = 200, columns: int = 3, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)), rng.normal(size=(rows + 7, columns)) + shift


@given(st.integers(0, 100), st.integers(1, 4))
def test_distances_of_samples_are_those_of_their_definitions(seed: int, columns: int) -> None:
    real, made = samples(seed, 40, columns)
    far, within = cdist(real, made), cdist(made, made)
    wanted = far.mean(axis=1) - within.sum() / (len(made) * (len(made) - 1)) / 2
    np.testing.assert_allclose(energy_scores(real, made), wanted, atol=1e-6)
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
    assert energy_scores(real, faulty).mean() > energy_scores(real, faithful).mean()
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
    np.testing.assert_allclose(whole[0], blocks[0])
    np.testing.assert_array_equal(whole[1], blocks[1])
    np.testing.assert_array_equal(whole[2][0], blocks[2][0])
