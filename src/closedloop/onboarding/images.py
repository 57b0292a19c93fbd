"""Image files with a subfolder a class."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

from tqdm import tqdm

from closedloop.errors import DataError
from closedloop.onboarding.archives import find_folders, holds, place, refuse_columns
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.proposal import Asked, Proposal, RawFile
from closedloop.onboarding.sections import CHECK
from closedloop.tasks.images.archive import read_files
from closedloop.tasks.images.folder import is_note, listed, picture_of
from closedloop.tasks.images.pictures import has_colour

ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")
LONGEST_SIDE = 64  # pixels: what larger images are brought to, as a CPU learns from them in minutes


class Images:
    form = "images: a folder, or a zip, of PNG, JPEG, GIF, BMP or TIFF files with a subfolder a class"

    def recognises(self, path: Path) -> bool:
        return holds(path, *ENDINGS)

    def place(self, path: Path) -> list[RawFile]:
        return [place(path)]

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Raises DataError when no file can be read, or files lie in no folder of a class."""
        refuse_columns(asked, "its subfolders")
        seen = _look(raw)
        if not seen.sizes:
            raise DataError(f"{asked.path} holds no image that can be read: {listed(seen.faults)}")
        folders = find_folders([*seen.sizes], str(asked.path))
        sizes = Counter(seen.sizes.values())
        colour = "in colour" if seen.coloured else "grey"
        checks = (f"{len(seen.faults)} files cannot be read, and are left out",) if seen.faults else ()
        return Proposal(
            kind="images",
            why="image files in a folder a class",
            form=f"a folder a class, {colour}, {in_words(sizes)}",
            content=f"{len(seen.sizes):,} images" + (", official test split in a folder" if folders.parts else ""),
            format={
                "name": "image_folder",
                "parts": _parts(raw.name, folders.parts),
                "channels": Noted(3 if seen.coloured else 1, "3: colour; 1: grey, to which colours are then brought"),
                **brought_to(sizes),
            },
            classes=folders.classes,
            left_out=folders.left_out,
            title=f"images in {asked.path.name}",
            checks=checks,
            settings=_validation(seen),
        )


@dataclass
class _Seen:
    """What the files of an archive hold."""

    sizes: dict[str, tuple[int, int]]  # path -> height, width
    faults: dict[str, str]  # path -> why it cannot be read
    coloured: bool


def _look(archive: Path) -> _Seen:
    seen = _Seen({}, {}, coloured=False)
    for file in tqdm(read_files(archive), desc="images", unit="file", delay=0.5):
        if is_note(file.path):
            continue
        try:
            image = picture_of(file)
        except ValueError as error:
            seen.faults[str(file.path)] = str(error)
            continue
        seen.sizes[str(file.path)] = (image.shape[0], image.shape[1])
        seen.coloured = seen.coloured or (image.ndim == 3 and has_colour(image))
    return seen


def _parts(archive: str, folders: dict[str, str]) -> list[dict[str, str]]:
    """The parts of the format; raises DataError where more folders than one belong to training or test."""
    if not folders:
        return [{"split": "all", "archive": archive}]
    if len(folders) != 2:
        raise DataError(
            f"{archive} has the folders {', '.join(folders)}; one is taken for training and one for test: move the "
            "images of the others into them, as the validation split is drawn from training"
        )
    return [
        {"split": split, "archive": archive, "folder": part}
        for part, split in sorted(folders.items(), key=lambda pair: pair[1] == "test")
    ]


def _usual(sizes: Counter[tuple[int, int]]) -> tuple[tuple[int, int], str]:
    """The size of most images, or the median height and width where no size has most, and in words which it is."""
    usual, count = sizes.most_common(1)[0]
    if count == sizes.total():
        return usual, f"{usual[0]} x {usual[1]} pixels"
    if 2 * count > sizes.total():
        return usual, f"mostly {usual[0]} x {usual[1]} pixels"
    height, width = (int(median_low(size[axis] for size in sizes.elements())) for axis in (0, 1))
    return (height, width), f"{height} x {width} pixels in the median"


def in_words(sizes: Counter[tuple[int, int]]) -> str:
    words = _usual(sizes)[1]
    return words if len(sizes) == 1 else f"{len(sizes)} sizes, {words}"


def brought_to(sizes: Counter[tuple[int, int]]) -> dict[str, Any]:
    """The size that images are brought to, where they are of several or large."""
    (height, width), spread = _usual(sizes)
    factor = min(1.0, LONGEST_SIDE / max(height, width))
    if len(sizes) == 1 and factor == 1:
        return {}
    size = [max(8, round(height * factor)), max(8, round(width * factor))]
    note = f"{CHECK}: height and width that images are brought to, here and in requests; the images have {spread}"
    return {"size": Noted(size, note), "fit": Noted("pad", "or crop, or stretch: what becomes of another shape")}


def _validation(seen: _Seen) -> dict[str, dict[str, Any]]:
    if not seen.faults:
        return {}
    share = math.ceil(100 * len(seen.faults) / (len(seen.faults) + len(seen.sizes))) / 100
    return {"validation": {"max_unreadable_share": Noted(share, f"{CHECK}: {listed(seen.faults)}")}}
