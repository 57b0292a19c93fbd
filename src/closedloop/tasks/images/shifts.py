"""Shifts images on purpose, as they would arrive after the world has changed."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import ndimage

from closedloop.data.array_columns import to_column
from closedloop.data.examples import LABEL
from closedloop.errors import ConfigError, DataError
from closedloop.tasks.images.request import IMAGE, pixels, with_pixels
from closedloop.tasks.imbalance import imbalanced_rows

Images = NDArray[np.uint8]

# Strength by severity 1 to 5. The first is at the edge of what a person notices, at the third a digit is read without
# effort, at the fifth it is hard to read. The names follow Hendrycks & Dietterich (2019), the values suit small images.
NOISE = (0.05, 0.10, 0.18, 0.28, 0.40)  # deviation of the Gaussian noise, share of full white
BLUR = (0.35, 0.50, 0.65, 0.85, 1.2)  # deviation of the Gaussian kernel in pixels of an image 8 pixels wide
CONTRAST = (0.75, 0.60, 0.45, 0.30, 0.15)  # factor on the distance of each pixel from its image's mean
ROTATION = (8, 16, 25, 38, 55)  # degrees, half of the images one way, half the other
OCCLUSION = (0.14, 0.25, 0.36, 0.50, 0.62)  # side of the square that hides the image, share of the image's side
INVERSION = (0.15, 0.30, 0.45, 0.65, 1.0)  # way of each level towards its negative
MIRRORING = (0.15, 0.30, 0.45, 0.65, 1.0)  # share of the images that arrive the wrong way round
TINT = (0.10, 0.20, 0.35, 0.50, 0.70)  # by which red gains and blue loses
IMBALANCE = (0.15, 0.30, 0.45, 0.65, 0.85)  # share of the rows that is redrawn from the few favoured classes


def shift(examples: pa.Table, scenario: str, severity: int, rng: np.random.Generator) -> pa.Table:
    """Return as many examples as they would arrive in a scenario at a severity from 1 to 5; `none` changes nothing.

    Raises ConfigError for an unknown scenario or severity, DataError when imbalance finds an example without a label.
    """
    if scenario == "none":
        return examples
    if severity not in range(1, 6):
        raise ConfigError(f"traffic.severity must be from 1 to 5, not {severity}")
    if scenario == "imbalance":
        return _imbalance(examples, IMBALANCE[severity - 1], rng)
    known = CORRUPTIONS | COLOURED
    if scenario not in known:
        raise ConfigError(f"traffic.scenario must be one of none, {', '.join(known)}, imbalance, not {scenario!r}")
    corrupt, strengths = known[scenario]
    return with_pixels(examples, corrupt(pixels(examples), strengths[severity - 1], rng))


def _to_bytes(levels: NDArray[np.floating]) -> Images:
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


def _noise(images: Images, deviation: float, rng: np.random.Generator) -> Images:
    return _to_bytes(images + 255 * deviation * rng.standard_normal(images.shape, np.float32))


def _blur(images: Images, sigma: float, _rng: np.random.Generator) -> Images:
    # strokes are about as many pixels wide as the square root of the side: so grows the kernel that spoils them as much
    sigma *= np.sqrt(max(images.shape[1:3]) / 8)
    deviations = (0, sigma, sigma, 0)[: images.ndim]  # never from channel to channel
    return _to_bytes(ndimage.gaussian_filter(images.astype(np.float32), deviations, mode="nearest"))


def _contrast(images: Images, factor: float, _rng: np.random.Generator) -> Images:
    levels = images.astype(np.float32)
    mean = levels.mean(axis=tuple(range(1, levels.ndim)), keepdims=True)
    return _to_bytes(mean + factor * (levels - mean))


def _rotation(images: Images, degrees: float, rng: np.random.Generator) -> Images:
    turned = images.astype(np.float32)
    left = rng.random(len(images)) < 0.5
    for side, angle in ((left, degrees), (~left, -degrees)):
        turned[side] = ndimage.rotate(turned[side], angle, axes=(1, 2), reshape=False, order=1, mode="nearest")
    return _to_bytes(turned)


def _occlusion(images: Images, share: float, rng: np.random.Generator) -> Images:
    """Hide a square at a random place behind one level of grey, drawn for each image."""
    count, height, width = images.shape[:3]
    side = max(1, round(share * min(height, width)))
    top, left = rng.integers(height - side + 1, size=count), rng.integers(width - side + 1, size=count)
    rows, columns = np.arange(height), np.arange(width)
    hidden_rows = (rows >= top[:, None]) & (rows < top[:, None] + side)  # (N, H)
    hidden_columns = (columns >= left[:, None]) & (columns < left[:, None] + side)  # (N, W)
    hidden = hidden_rows[:, :, None] & hidden_columns[:, None, :]
    channels = (1,) * (images.ndim - 3)
    grey = rng.integers(256, size=(count, 1, 1, *channels), dtype=np.uint8)
    return np.where(hidden.reshape(*hidden.shape, *channels), grey, images)


def _inversion(images: Images, share: float, _rng: np.random.Generator) -> Images:
    levels = images.astype(np.float32)
    return _to_bytes(levels + share * (255 - 2 * levels))


def _mirroring(images: Images, share: float, rng: np.random.Generator) -> Images:
    """Left and right exchanged, as by a scanner or camera that is set up wrongly."""
    chosen = rng.random(len(images)) < share
    return np.where(chosen.reshape(-1, *[1] * (images.ndim - 1)), images[:, :, ::-1], images)


def _tint(images: Images, share: float, _rng: np.random.Generator) -> Images:
    """Another white balance: red gains, blue loses."""
    if images.ndim == 3:
        raise ConfigError("traffic.scenario tint needs images in colour; these are grey: choose another scenario")
    return _to_bytes(images.astype(np.float32) * np.array([1 + share, 1, 1 - share], np.float32))


def _imbalance(examples: pa.Table, share: float, rng: np.random.Generator) -> pa.Table:
    """Redraw rows so that a few classes, chosen at random, are over-represented; a row may then arrive repeatedly."""
    if LABEL not in examples.column_names or examples.column(LABEL).null_count:
        raise DataError("traffic.scenario imbalance needs a label for every example; choose another scenario")
    rows = imbalanced_rows(examples.column(LABEL).to_pylist(), share, rng)
    # pyarrow 25 crashes on taking rows of nested lists out of a slice, so the images are taken by NumPy
    others = examples.drop_columns([IMAGE]).take(pa.array(rows))
    return others.add_column(examples.column_names.index(IMAGE), IMAGE, to_column(pixels(examples)[rows]))


CORRUPTIONS: dict[str, tuple[Callable[[Images, float, np.random.Generator], Images], tuple[float, ...]]] = {
    "noise": (_noise, NOISE),
    "blur": (_blur, BLUR),
    "contrast": (_contrast, CONTRAST),
    "rotation": (_rotation, ROTATION),
    "occlusion": (_occlusion, OCCLUSION),
    "inversion": (_inversion, INVERSION),
    "mirroring": (_mirroring, MIRRORING),
}
COLOURED = {"tint": (_tint, TINT)}  # needs colours
