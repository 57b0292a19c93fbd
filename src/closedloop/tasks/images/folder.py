"""Folders of image files, one a class -> images, labels and names."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from closedloop.data.spill import BLOCK, Spill, blocks
from closedloop.errors import DataError
from closedloop.tasks.images.archive import File, paths_in, read_files
from closedloop.tasks.images.pictures import Levels, fitted, has_colour, read_picture, to_channels
from closedloop.tasks.schema import ImageFolder, ImagePart

NAMED = 5  # files in a message


@dataclass
class Collected:
    """The images of one part, and what else was found."""

    folder: Path  # where there is room for them
    levels: Spill  # (N, H, W), or (N, H, W, 3) where an image has colour
    coloured: bool = False
    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)  # path -> why it is left out
    sizes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    examples_of_size: dict[tuple[int, ...], str] = field(default_factory=dict)

    def add(self, images: list[Levels]) -> None:
        """Keep a batch; what was grey so far gets three channels when the first colours come."""
        if not self.coloured and any(image.ndim == 3 for image in images):
            before, self.levels, self.coloured = self.levels, Spill(self.folder), True
            if before.rows:
                grey = before.array()
                for block in blocks(before.rows, 3 * grey[0].nbytes):
                    self.levels.add(to_channels(grey[block], True, 3))
        channels = 3 if self.coloured else 1
        self.levels.add(np.stack([to_channels(image, image.ndim == 2, channels) for image in images]))

    def images(self, channels: int) -> Levels:
        """All images in the order of their names."""
        levels, order, found = self.levels.array(), self.order(), Spill(self.folder)
        for block in blocks(len(order), levels[0].nbytes):
            found.add(to_channels(levels[order[block]], not self.coloured, channels))
        return found.array()

    def order(self) -> NDArray[np.intp]:
        return np.argsort(np.array(self.names), kind="stable")


def read_folder(archive: Path, part: ImagePart, config: ImageFolder) -> Collected:
    """The images of a part of an archive, each with the name of the folder of its class.

    Files that are no image are left out and named in `faults`. Raises DataError when there are no images, a file
    stands in no class's folder, or sizes differ and the configuration has none: it names the files.
    """
    found, waiting, waiting_bytes = Collected(archive.parent, Spill(archive.parent)), [], 0
    for file, label in tqdm(_placed(archive, part), desc=f"images of {archive.name}", unit="file", delay=1):
        name = str(file.path)
        try:
            image = _one(file, config)
        except ValueError as error:
            found.faults[name] = str(error)
            continue
        size = image.shape[:2]
        found.sizes[size] += 1
        found.examples_of_size.setdefault(size, name)
        if len(found.sizes) > 1:
            continue  # it is an error; the sizes are counted on to name the odd ones
        found.names.append(name)
        found.labels.append(label)
        waiting.append(image)
        waiting_bytes += image.nbytes
        if waiting_bytes >= BLOCK:
            found.add(waiting)
            waiting, waiting_bytes = [], 0
    if waiting:
        found.add(waiting)
    _refuse_sizes(archive, found)
    if not found.names:
        why = listed(found.faults) or "the classes' folders are empty"
        raise DataError(f"{archive} holds no image{f' in {part.folder}/' if part.folder else ''}; {why}")
    return found


def _one(file: File, config: ImageFolder) -> Levels:
    image = picture_of(file)
    if config.channels is not None:
        image = to_channels(image, image.ndim == 2, config.channels)
    elif image.ndim == 3 and not has_colour(image):
        image = image[..., 0]  # grey, though saved with three channels
    return image if config.size is None else fitted(image, config.size, config.fit)


def _placed(archive: Path, part: ImagePart) -> Iterator[tuple[File, str]]:
    """The files of a part and the folder that each stands in: the class.

    A folder around everything is passed over, as archives have one; folders inside a class's belong to the class.
    """
    depth = shared_depth([path for path in paths_in(archive) if not is_note(path)], part.folder)
    homeless = []
    for file in read_files(archive):
        folders = file.path.parts[:-1]
        if part.folder:
            if part.folder not in folders[: depth + 1]:
                continue
            folders = folders[folders.index(part.folder) + 1 :]
        else:
            folders = folders[depth:]
        if folders:
            yield file, folders[0]
        elif not is_note(file.path):
            homeless.append(str(file.path))
    if homeless:
        raise DataError(
            f"{archive}: {len(homeless)} files stand in no class's folder, first {', '.join(homeless[:NAMED])}; each "
            "image must lie in a folder named as its class, and for source.format.parts with `folder` below that one"
        )


def shared_depth(paths: list[PurePosixPath], wanted: str = "") -> int:
    """How many folders stand around all files, above the one that is wanted and above the classes'."""
    folders = [path.parts[:-1] for path in paths if len(path.parts) > 1]
    deepest = min((len(one) for one in folders), default=1) - 1  # the last folder is a class's, also if it is alone
    depth = 0
    while depth < deepest and len({one[depth] for one in folders}) == 1 and folders[0][depth] != wanted:
        depth += 1
    return depth


def is_note(path: PurePosixPath) -> bool:
    """README.txt, labels.csv and the like: no image that lost its class's folder."""
    return path.suffix.lower() in ("", ".txt", ".md", ".csv", ".json", ".html", ".yaml", ".pdf")


def _refuse_sizes(archive: Path, found: Collected) -> None:
    if len(found.sizes) < 2:
        return
    (usual, count), *others = found.sizes.most_common()
    odd = ", ".join(f"{found.examples_of_size[size]} {size[0]} x {size[1]}" for size, _ in others[:NAMED])
    rest = f" and {len(others) - NAMED} more sizes" if len(others) > NAMED else ""
    total = sum(found.sizes.values())
    raise DataError(
        f"{archive}: {total - count} of {total} images are not {usual[0]} x {usual[1]} (height x width) as the others "
        f"are, such as {odd}{rest}; set source.format.size, perhaps to [{usual[0]}, {usual[1]}], and source.format.fit "
        "to pad, crop or stretch"
    )


def picture_of(file: File) -> Levels:
    """The levels of a file; raises ValueError that says why there are none."""
    if file.fault:
        raise ValueError(file.fault)
    return read_picture(file.content)


def listed(faults: dict[str, str]) -> str:
    """The first faults in words."""
    first = "; ".join(f"{name} {fault}" for name, fault in list(faults.items())[:NAMED])
    return first + (f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else "")
