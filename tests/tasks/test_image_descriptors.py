"""Descriptors mean what they say, on images of any size and content."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from closedloop.tasks.images import descriptors as image_descriptors
from closedloop.tasks.images.descriptors import describe

SIDE = 28


def of(image: NDArray[np.uint8]) -> dict[str, float]:
    return {str(name): float(value) for name, value in describe(image[None]).iloc[0].items()}


def bar(angle: float) -> NDArray[np.uint8]:
    """A vertical bar, turned counter-clockwise by an angle in degrees."""
    image = np.zeros((SIDE, SIDE))
    image[4:24, 12:16] = 255
    turned: NDArray[np.uint8] = ndimage.rotate(image, angle, reshape=False, order=1).clip(0, 255).astype(np.uint8)
    return turned


@settings(deadline=None, max_examples=40)
@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(3, 12), st.integers(3, 12))))
def test_whatever_the_image_each_column_is_a_finite_number_in_its_range(images: NDArray[np.uint8]) -> None:
    described = describe(images)
    assert len(described) == len(images)
    assert (described.dtypes == np.float64).all()
    assert np.isfinite(described.to_numpy()).all()
    shares = described.drop(columns=["slant", "sharpness", "noise"])
    assert shares.to_numpy().min() >= 0
    assert shares.to_numpy().max() <= 1 + 1e-6


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_an_image_is_described_alike_whichever_stand_beside_it(seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (7, 8, 8), np.uint8)
    alone = np.concatenate([describe(image[None]).to_numpy() for image in images])
    assert np.allclose(describe(images).to_numpy(), alone, rtol=1e-6, atol=1e-7)


def test_many_images_are_described_in_chunks_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8), np.uint8)
    whole = describe(images)
    monkeypatch.setattr(image_descriptors, "CHUNK", 3)
    assert np.allclose(describe(images).to_numpy(), whole.to_numpy(), rtol=1e-6, atol=1e-7)


def test_no_images_give_no_rows_and_all_columns() -> None:
    described = describe(np.zeros((0, 8, 8), np.uint8))
    assert len(described) == 0
    assert list(described) == list(describe(np.zeros((1, 8, 8), np.uint8)))


def test_levels_are_shares_of_full_white() -> None:
    image = np.zeros((8, 8), np.uint8)
    image[:4] = 255
    half = of(image)
    assert half["brightness"] == pytest.approx(0.5)
    assert half["contrast"] == pytest.approx(0.5)
    assert half["ink_share"] == 0.5
    assert half["grey_share"] == 0
    assert (half["background"], half["peak"]) == (0, 1)
    grey = of(np.full((8, 8), 102, np.uint8))
    assert grey["brightness"] == pytest.approx(0.4)
    assert (grey["grey_share"], grey["plateau_share"], grey["contrast"], grey["sharpness"]) == (1, 1, 0, 0)


def test_the_centre_follows_the_digit_and_the_spread_does_not() -> None:
    image = bar(0)
    moved = np.roll(image, (2, 5), axis=(0, 1))
    before, after = of(image), of(moved)
    assert after["centre_x"] - before["centre_x"] == pytest.approx(5 / SIDE)
    assert after["centre_y"] - before["centre_y"] == pytest.approx(2 / SIDE)
    assert after["spread"] == pytest.approx(before["spread"], rel=1e-4)


def test_slant_has_the_sign_of_the_turn_and_diagonal_edges_have_none() -> None:
    upright, left, right = of(bar(0)), of(bar(30)), of(bar(-30))
    assert abs(upright["slant"]) < 1e-6
    assert left["slant"] > 0.4 > -0.4 > right["slant"]
    assert left["diagonal_edges"] == pytest.approx(right["diagonal_edges"], rel=0.05)
    assert left["diagonal_edges"] > upright["diagonal_edges"] + 0.4


def test_elongation_tells_a_line_from_a_disc() -> None:
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    disc = ((x**2 + y**2 < 64) * 255).astype(np.uint8)
    assert of(disc)["elongation"] < 0.01
    assert of(bar(0))["elongation"] > 0.9
    assert of(bar(20))["elongation"] == pytest.approx(of(bar(0))["elongation"], abs=0.02)


@pytest.mark.parametrize("deviation", [5.0, 10.0, 20.0])
def test_noise_is_estimated_in_shares_of_full_white(deviation: float) -> None:
    rng = np.random.default_rng(0)
    images = np.clip(np.rint(128 + deviation * rng.standard_normal((200, SIDE, SIDE))), 0, 255).astype(np.uint8)
    assert describe(images)["noise"].mean() * 255 == pytest.approx(deviation, rel=0.03)


def test_sharpness_falls_with_blur_but_not_with_contrast() -> None:
    image = bar(10)
    blurred = ndimage.gaussian_filter(image.astype(float), 2).astype(np.uint8)
    assert of(blurred)["sharpness"] < 0.8 * of(image)["sharpness"]
    assert of(image // 2)["sharpness"] == pytest.approx(of(image)["sharpness"], rel=0.02)


@pytest.mark.parametrize("images", [np.zeros((2, 8, 8)), np.zeros((8, 8), np.uint8), np.zeros((1, 2, 8), np.uint8)])
def test_anything_but_bytes_of_three_dimensions_is_refused(images: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="expected uint8 images"):
        describe(images)
