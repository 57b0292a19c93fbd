"""Folders of pictures as a user has them: scanned digits in grey, shapes in colour."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

SHAPES = ("circle", "square", "triangle")
SIDE = 12


def shape(name: str, rng: np.random.Generator, side: int = SIDE) -> NDArray[np.uint8]:
    """A shape of a warm colour on a cool ground, (side, side, 3)."""
    scale = 4  # drawn large and made small: its edges are soft
    ground, ink = rng.integers((20, 40, 90), (60, 90, 160)), rng.integers((170, 90, 20), (255, 180, 70))
    picture = Image.new("RGB", (side * scale, side * scale), tuple(ground.tolist()))
    draw, size = ImageDraw.Draw(picture), side * scale
    radius = rng.uniform(0.25, 0.36) * size
    x, y = rng.uniform(radius, size - radius, 2)
    box, colour = (x - radius, y - radius, x + radius, y + radius), tuple(ink.tolist())
    match name:
        case "circle":
            draw.ellipse(box, fill=colour)
        case "square":
            draw.rectangle(box, fill=colour)
        case _:
            draw.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=colour)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def write_shapes(folder: Path, each: int, seed: int = 0) -> Path:
    """folder/<class>/<number>.png, in colour."""
    rng = np.random.default_rng(seed)
    for name in SHAPES:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            Image.fromarray(shape(name, rng)).save(folder / name / f"{number:04d}.png")
    return folder


def write_digits(folder: Path, count: int = 200) -> Path:
    """folder/<digit>/<number>.png, grey, 8 x 8."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:count], digits.target[:count], strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        levels = np.round(image * 255 / 16).astype(np.uint8)
        Image.fromarray(levels).save(folder / str(label) / f"{number:04d}.png")
    return folder
