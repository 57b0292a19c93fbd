"""Images and labels in IDX files, named and paired as MNIST's are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from closedloop.data.idx import read_idx
from closedloop.errors import DataError
from closedloop.onboarding.archives import refuse_columns
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.places import find_places, named_by_numbers
from closedloop.onboarding.proposal import Asked, Proposal, RawFile, file_name
from closedloop.onboarding.sections import CHECK

# train-images-idx3-ubyte.gz, t10k-labels.idx1-ubyte, test-images.idx
NAME = re.compile(r"(?P<set>.*?)(?P<what>images|labels)[-_.]idx[13]?([-_.]ubyte)?(?P<packed>\.gz)?", re.I)
TEST = re.compile(r"t10k|(?<![a-z])test", re.I)  # and not latest
FULL = 128  # brightest pixel from which 255 is full white


@dataclass(frozen=True)
class _Pair:
    """The files of one set, below the folder."""

    name: str
    images: str
    labels: str

    @property
    def is_test(self) -> bool:
        return TEST.search(self.name) is not None


class IdxFiles:
    form = "images: a folder of IDX files named like MNIST's, train-images-idx3-ubyte and train-labels-idx1-ubyte"

    def recognises(self, path: Path) -> bool:
        return path.is_dir() and any(True for _ in _named(path))

    def place(self, path: Path) -> list[RawFile]:
        """Raises DataError when images lack labels, or there are more sets than one of training and one of test."""
        return [_raw_file(name) for pair in _pairs(path) for name in (pair.images, pair.labels)]

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Raises DataError when a file is none of IDX, or its labels are no places of classes."""
        refuse_columns(asked, "its labels")
        pairs = _pairs(asked.path)
        placed = [[raw.with_name(_raw_file(name).name) for name in (pair.images, pair.labels)] for pair in pairs]
        images = [read_idx(files[0]) for files in placed]
        for one, pair in zip(images, pairs, strict=True):
            if one.ndim != 3:
                raise DataError(f"{asked.path / pair.images} has the shape {one.shape}; images are (N, H, W), grey")
        labels = np.concatenate([read_idx(files[1]).reshape(-1) for files in placed])
        classes, rare = find_places(labels, f"{asked.path}: {', '.join(pair.labels for pair in pairs)}")
        splits = ["test" if pair.is_test else "train" for pair in pairs] if len(pairs) == 2 else ["all"]
        parts = [
            {"split": split, "images": files[0].name, "labels": files[1].name}
            for split, files in zip(splits, placed, strict=True)
        ]
        return Proposal(
            kind="images",
            why="IDX files of images and of labels, by their names",
            form=f"IDX, grey, {images[0].shape[1]} x {images[0].shape[2]} pixels",
            content=f"{sum(map(len, images)):,} images"
            + (", official test split in files of its own" if len(pairs) == 2 else ""),
            format={
                "name": "idx",
                "pixel_max": _pixel_max(max(int(one.max(initial=0)) for one in images)),
                "parts": parts,
            },
            classes=classes,
            left_out=rare,
            title=f"images in {asked.path.name}",
            settings=named_by_numbers(classes),
        )


def _pixel_max(brightest: int) -> Any:
    if brightest >= FULL:
        return Noted(255, "the value in the files that means full white")
    note = f"{CHECK}: the value in the files that means full white; taken for it is the brightest pixel of all"
    return Noted(max(1, brightest), note)


def _named(folder: Path) -> Iterator[tuple[str, re.Match[str]]]:
    """The files with such a name, below the folder, the packed ones first."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*images*")}
    found |= {path.relative_to(folder).as_posix() for path in folder.rglob("*labels*")}
    for name in sorted(found, key=lambda name: (not name.lower().endswith(".gz"), name)):
        match = NAME.fullmatch(name)
        if match and not Path(name).name.startswith(".") and (folder / name).is_file():
            yield name, match


def _pairs(folder: Path) -> list[_Pair]:
    sets: dict[str, dict[str, str]] = {}
    for name, match in _named(folder):  # where a file is there twice, the unpacked one is taken
        sets.setdefault(match["set"], {})[match["what"].lower()] = name
    lacking = [
        f"{next(iter(files.values()))} without its {what}"
        for files in sets.values()
        for what in ("images", "labels")
        if what not in files
    ]
    if lacking:
        raise DataError(
            f"{folder} holds {', '.join(lacking)}; images and labels of one set have one name, up to the words images "
            "and labels"
        )
    pairs = sorted(
        (_Pair(name, files["images"], files["labels"]) for name, files in sets.items()), key=lambda pair: pair.is_test
    )
    if [pair.is_test for pair in pairs] not in ([False], [True], [False, True]):
        raise DataError(
            f"{folder} holds {len(pairs)} sets: {', '.join(pair.images for pair in pairs)}; put the one that is meant "
            "into a folder of its own, and its test set, named t10k- or test-, beside it"
        )
    return pairs


def _raw_file(name: str) -> RawFile:
    packed = name.lower().endswith(".gz")
    return RawFile(file_name(name[:-3] if packed else name), "gzip" if packed else "none", below=name)
