"""Describes images by columns of numbers that move when the images do."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from closedloop.tasks.images.pictures import luminance

Floats = NDArray[np.float64]
Levels = NDArray[np.float32]

CHUNK = 2048  # images at a time: bounds the memory, stays in the cache


def describe(images: NDArray[np.uint8]) -> pd.DataFrame:
    """Describe images (N, H, W), or (N, H, W, 3) in colour, by float64 columns.

    Levels are shares of full white, lengths shares of the side. Of colours the luminance is described, and besides:

    saturation       mean share of its strongest channel by which a pixel's weakest falls short
    red_green        mean of red less green
    yellow_blue      mean of (red + green) / 2 less blue
    colourfulness    how far the two spread and lie from grey, as Hasler and Suesstrunk (2003) weigh it

    Of all images:

    brightness       mean level
    contrast         standard deviation of the levels
    ink_share        share of pixels brighter than half of full white
    grey_share       share of pixels between a tenth and nine tenths of full white
    background       mean level of the darkest quarter of the pixels
    peak             mean level of the brightest twentieth of the pixels
    sharpness        root mean square difference of neighbours over contrast; 0 for a blank image
    noise            standard deviation of the noise as Immerkaer (1996) estimates it
    plateau_share    share of neighbours with the same level other than black
    centre_x         centre of mass, from 0 (left) to 1 (right); 0.5 for a black image, as is centre_y
    centre_y         centre of mass, from 0 (top) to 1 (bottom)
    spread           root mean square distance of the mass from its centre
    slant            shear of the mass: columns moved a row, positive to the right going down
    elongation       1 for mass on a line, 0 for mass without a main direction
    diagonal_edges   share of edge energy that is diagonal: 0 for edges along the axes, 1 at 45 degrees

    Raises ValueError when the images are not uint8 with sides of at least 3.
    """
    coloured = images.ndim == 4 and images.shape[3] == 3
    if images.dtype != np.uint8 or not (images.ndim == 3 or coloured) or min(images.shape[1:3]) < 3:
        raise ValueError(
            f"expected uint8 images (N, H, W) or (N, H, W, 3) with sides of 3 or more, got {images.dtype} "
            f"{images.shape}"
        )
    starts = range(0, max(len(images), 1), CHUNK)
    parts = [_describe(images[start : start + CHUNK]) for start in starts]
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _describe(images: NDArray[np.uint8]) -> dict[str, Floats]:
    if images.ndim == 4:
        return {**_describe(luminance(images)), **_colours(images)}
    levels: Levels = images.astype(np.float32) / np.float32(255)
    contrast = levels.std(axis=(1, 2), dtype=np.float64)
    down, right = np.diff(levels, axis=1), np.diff(levels, axis=2)
    return {
        "brightness": levels.mean(axis=(1, 2), dtype=np.float64),
        "contrast": contrast,
        "ink_share": _share(levels > 0.5),
        "grey_share": _share((levels > 0.1) & (levels < 0.9)),
        **_extremes(images),
        "sharpness": _ratio(np.sqrt((_mean(down * down) + _mean(right * right)) / 2), contrast),
        "noise": _noise(levels),
        "plateau_share": (_plateaus(down, levels[:, 1:]) + _plateaus(right, levels[:, :, 1:])) / 2,
        **_shape(levels),
        "diagonal_edges": _diagonal_edges(levels),
    }


def _colours(images: NDArray[np.uint8]) -> dict[str, Floats]:
    colours: Levels = images.astype(np.float32) / np.float32(255)
    red, green, blue = np.moveaxis(colours, -1, 0)
    strongest = colours.max(axis=-1)
    short = strongest - colours.min(axis=-1)
    saturation = np.divide(short, strongest, out=np.zeros_like(short), where=strongest > 0)
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(axis=(1, 2), dtype=np.float64), second.std(axis=(1, 2), dtype=np.float64))
    return {
        "saturation": _mean(saturation),
        "red_green": _mean(first),
        "yellow_blue": _mean(second),
        "colourfulness": spread + 0.3 * np.hypot(_mean(first), _mean(second)),
    }


def _mean(values: Levels) -> Floats:
    return np.asarray(values.mean(axis=(1, 2), dtype=np.float64))


def _share(mask: NDArray[np.bool_]) -> Floats:
    return np.asarray(mask.mean(axis=(1, 2), dtype=np.float64))


def _ratio(over: Floats, under: Floats, otherwise: float = 0.0) -> Floats:
    """over / under, and `otherwise` where under is 0."""
    return np.asarray(np.divide(over, under, out=np.full(under.shape, otherwise), where=under > 1e-12))


def _extremes(images: NDArray[np.uint8]) -> dict[str, Floats]:
    pixels = np.sort(images.reshape(-1, images.shape[1] * images.shape[2]), axis=1)
    quarter, twentieth = max(pixels.shape[1] // 4, 1), max(pixels.shape[1] // 20, 1)
    return {
        "background": pixels[:, :quarter].mean(axis=1, dtype=np.float64) / 255,
        "peak": pixels[:, -twentieth:].mean(axis=1, dtype=np.float64) / 255,
    }


def _noise(levels: Levels) -> Floats:
    """The mean absolute response to [1 -2 1] along both axes, which edges hardly excite, scaled to a deviation."""
    rows = levels[:, 2:] - 2 * levels[:, 1:-1] + levels[:, :-2]
    response = rows[:, :, 2:] - 2 * rows[:, :, 1:-1] + rows[:, :, :-2]
    return _mean(np.abs(response)) * float(np.sqrt(np.pi / 2) / 6)


def _plateaus(difference: Levels, levels: Levels) -> Floats:
    return _share((difference == 0) & (levels > 0))


def _shape(levels: Levels) -> dict[str, Floats]:
    """Moments of the brightness up to the second order, and what follows from them."""
    height, width = levels.shape[1:]
    y, x = (grid.reshape(-1) + 0.5 for grid in np.mgrid[:height, :width].astype(np.float64))
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)  # (H * W, 6)
    sums = (levels.reshape(-1, height * width) @ basis).T
    mass = sums[0]
    centre_x, centre_y = _ratio(sums[1], mass, width / 2), _ratio(sums[2], mass, height / 2)
    xx = np.maximum(_ratio(sums[3], mass) - centre_x**2, 0) * (mass > 0)
    yy = np.maximum(_ratio(sums[5], mass) - centre_y**2, 0) * (mass > 0)
    xy = (_ratio(sums[4], mass) - centre_x * centre_y) * (mass > 0)
    return {
        "centre_x": centre_x / width,
        "centre_y": centre_y / height,
        "spread": np.sqrt((xx + yy) / (height * width)),
        "slant": _ratio(xy, yy),
        "elongation": np.minimum(_ratio(np.hypot(xx - yy, 2 * xy), xx + yy), 1),
    }


def _diagonal_edges(levels: Levels) -> Floats:
    """Sobel gradients: their energy times |sin 2 angle|, over their energy; a rotation moves it, whichever its sign."""
    smooth_y = levels[:, 2:] + 2 * levels[:, 1:-1] + levels[:, :-2]
    smooth_x = levels[:, :, 2:] + 2 * levels[:, :, 1:-1] + levels[:, :, :-2]
    gx = smooth_y[:, :, 2:] - smooth_y[:, :, :-2]
    gy = smooth_x[:, 2:] - smooth_x[:, :-2]
    return _ratio(2 * _mean(np.abs(gx * gy)), _mean(gx * gx + gy * gy))
