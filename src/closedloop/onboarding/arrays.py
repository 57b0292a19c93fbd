"""Images and labels in the arrays of an .npz file, of which headers and labels are read."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closedloop.data.archives import damage_told
from closedloop.data.npz import read_headers
from closedloop.onboarding.archives import refuse_columns
from closedloop.onboarding.classes import find_classes
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.images import brought_to, in_words
from closedloop.onboarding.pairing import Found, find_pairs
from closedloop.onboarding.places import find_places, named_by_numbers
from closedloop.onboarding.proposal import Asked, Proposal, RawFile, file_name
from closedloop.onboarding.sections import CHECK


class Arrays:
    form = "images: an .npz file with arrays of images, (N, H, W), (N, H, W, 1) or (N, H, W, 3), and of labels, (N,)"

    def recognises(self, path: Path) -> bool:
        return path.is_file() and path.suffix.lower() == ".npz"

    def place(self, path: Path) -> list[RawFile]:
        return [RawFile(file_name(path.name))]

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Raises DataError when the file is damaged, or its arrays are no images with their labels."""
        refuse_columns(asked, "its labels")
        headers = read_headers(raw)
        found = find_pairs(headers, str(asked.path))
        shapes = [headers[pair.images].shape for pair in found.pairs]
        channels = max(3 if shape[3:] == (3,) else 1 for shape in shapes)
        sizes = Counter({(shape[1], shape[2]): 0 for shape in shapes})
        for shape in shapes:
            sizes[shape[1], shape[2]] += shape[0]
        labels = _labels(raw, found)
        named = labels.dtype.kind == "U"
        where = f"{asked.path}: {', '.join(pair.labels for pair in found.pairs)}"
        classes, rare = find_classes(labels.tolist(), where) if named else find_places(labels, where)
        official = ", official test split in arrays of its own" if len(found.pairs) == 2 else ""
        return Proposal(
            kind="images",
            why="arrays of images and of labels",
            form=f"arrays, {'in colour' if channels == 3 else 'grey'}, {in_words(sizes)}",
            content=f"{sizes.total():,} images{official}",
            format={
                "name": "image_arrays",
                "parts": Noted(
                    _parts(raw.name, found), f"{CHECK}: {'; '.join(found.guessed)}" if found.guessed else ""
                ),
                "channels": Noted(channels, "3: colour; 1: grey, to which colours are then brought"),
                **brought_to(sizes),
            },
            classes=classes,
            left_out=rare,
            title=f"images in {asked.path.name}",
            checks=found.guessed,
            settings={} if named else named_by_numbers(classes),
        )


def _labels(path: Path, found: Found) -> NDArray[Any]:
    with damage_told(path), np.load(path, allow_pickle=False) as arrays:  # which reads an array when it is asked for
        return np.concatenate([arrays[pair.labels].reshape(-1) for pair in found.pairs])


def _parts(file: str, found: Found) -> list[dict[str, str]]:
    return [{"split": pair.split, "file": file, "images": pair.images, "labels": pair.labels} for pair in found.pairs]
