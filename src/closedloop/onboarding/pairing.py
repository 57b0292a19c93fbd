"""Which arrays are images, and which of the others are their labels: by shape and type first, then by name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from closedloop.data.npz import Header
from closedloop.errors import DataError

FORMS = "(N, H, W), (N, H, W, 1) or (N, H, W, 3) of uint8, or of floats from 0 to 1"
LABELS = "(N,) of whole numbers from 0, or of text"
SHOWN = 12  # arrays in an error
PART = re.compile(r"(?P<train>train(?:ing)?)|(?P<test>test(?:ing)?)|(?P<validation>val(?:id(?:ation)?)?|dev)")
NAME_OF_LABELS = re.compile(r"y|labels?|targets?|class(es)?")

Headers = Mapping[str, Header]


@dataclass(frozen=True)
class Pair:
    """An array of images and that of their labels."""

    split: Literal["all", "train", "test"]
    images: str
    labels: str


@dataclass(frozen=True)
class Found:
    pairs: tuple[Pair, ...]
    guessed: tuple[str, ...]  # what needs a person's eye


def find_pairs(headers: Headers, where: str) -> Found:
    """The pairs: one of training and one of test where names say so, as x_train and x_test do, otherwise one.

    Arrays of validation are left aside, as that split is drawn from training. Raises DataError that lists the arrays
    when there are no images, no labels, or several and no telling which.
    """
    fitting = [name for name, header in headers.items() if _is_images(header)]
    if not fitting:
        raise DataError(f"{where} holds no array of images{_nearly(headers)}; images are {FORMS}; {_listed(headers)}")
    images = [name for name in fitting if _part(name) != "validation"] or fitting
    of = {part: [name for name in images if _part(name) == part] for part in ("train", "test")}
    splits: tuple[Literal["all", "train", "test"], ...] = ("train", "test") if all(of.values()) else ("all",)
    pairs = []
    guessed: list[str] = []
    for split in splits:
        candidates = images if split == "all" else of[split]
        if len(candidates) > 1:
            raise DataError(
                f"{where} holds several arrays of images{'' if split == 'all' else f' for {split}'}: "
                f"{', '.join(candidates)}; name them x_train, y_train, x_test and y_test, or save the one that is "
                f"meant with its labels; {_listed(headers)}"
            )
        labels, why = _labels_of(headers[candidates[0]], split, headers, where)
        pairs.append(Pair(split, candidates[0], labels))
        guessed += why
    used = {name for pair in pairs for name in (pair.images, pair.labels)}
    aside = [str(header) for name, header in headers.items() if name not in used]
    if aside:
        guessed.append(f"left aside: {', '.join(aside[:SHOWN])}")
    return Found(tuple(pairs), tuple(guessed))


def _labels_of(images: Header, split: str, headers: Headers, where: str) -> tuple[str, list[str]]:
    """The labels of images, and what was guessed about them."""
    count = images.shape[0]
    shaped = [name for name, header in headers.items() if _is_labels(header, count)]
    alike = [name for name in shaped if _part(name) == _part(images.name)]
    fitting = alike or (shaped if split == "all" else [])
    usual = [name for name in fitting if NAME_OF_LABELS.fullmatch(PART.sub("", name.lower()).strip("_- ."))]
    if len(fitting) == 1 and usual:
        return fitting[0], []
    chosen = usual or fitting
    if len(chosen) != 1:
        several = (
            f"several arrays that could be their labels: {', '.join(chosen)}" if chosen else "no array of their labels"
        )
        raise DataError(
            f"{where} holds {count:,} images in {images.name}, and {several}; labels are {LABELS}, and are best named "
            f"like y_train or labels; {_listed(headers)}"
        )
    others = [name for name in fitting if name != chosen[0]]
    why = f"and not {', '.join(others)}" if others else "by its shape and type"
    return chosen[0], [f"{chosen[0]} is taken for the labels of {images.name}, {why}"]


def _is_images(header: Header) -> bool:
    return _is_shaped(header.shape) and (header.dtype == np.uint8 or np.issubdtype(header.dtype, np.floating))


def _is_shaped(shape: Sequence[int]) -> bool:
    return 0 not in shape and (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3)))


def _is_labels(header: Header, count: int) -> bool:
    return header.dtype.kind in "iuU" and header.shape in ((count,), (count, 1))


def _part(name: str) -> str:
    found = PART.search(name.lower())
    return found.lastgroup or "" if found else ""


def _nearly(headers: Headers) -> str:
    """What keeps an array from being one of images."""
    for header in headers.values():
        if _is_shaped(header.shape):
            return f": {header.name} is {header.dtype}, save it as uint8"
        if len(header.shape) == 4 and header.shape[1] in (1, 3):
            return f": {header.name} has its channels first, {header.name}.transpose(0, 2, 3, 1) puts them last"
        if len(header.shape) == 2 and header.shape[1] > 1:
            return f": {header.name} is flat, {header.name}.reshape(N, H, W) makes images of it"
    return ""


def _listed(headers: Headers) -> str:
    shown = [str(header) for header in headers.values()][:SHOWN]
    return f"found: {', '.join(shown)}" + (f" and {len(headers) - SHOWN} more" if len(headers) > SHOWN else "")
