"""Images and labels as named arrays of an .npz file."""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closedloop.data.archives import damage_told
from closedloop.data.npz import NPY, read_header
from closedloop.data.spill import Spill, blocks, changed, fits
from closedloop.errors import DataError
from closedloop.tasks.images.archive import refuse_bomb
from closedloop.tasks.images.pictures import Levels
from closedloop.tasks.schema import ArraysPart

FORMS = "(N, H, W), (N, H, W, 1) or (N, H, W, 3)"


def read_arrays(path: Path, part: ArraysPart, classes: list[str]) -> tuple[Levels, list[str]]:
    """The images (N, H, W) or (N, H, W, 3) of a part as bytes, and their labels as class names.

    An integer that is no place in `classes` gets a name that is none, for validation to report. Raises DataError when
    the file is missing or damaged, lacks an array, or one has another shape, type or range than expected.
    """
    images, labels = (read_array(path, name) for name in (part.images, part.labels))
    where = f"{path}: {part.images}"
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3) or 0 in images.shape[1:]:
        raise DataError(f"{where} has the shape {images.shape}; images are {FORMS}, channels last")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != images.shape[:1]:
        raise DataError(f"{where} holds {len(images)} images, {part.labels} has the shape {labels.shape}")
    return _bytes(images, where, path.parent), _names(labels, classes, f"{path}: {part.labels}")


def read_array(path: Path, name: str) -> NDArray[Any]:
    """One array of an .npz file; it may hold numbers and text, never objects.

    Raises DataError as `read_arrays` does.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run the acquire stage")
    with damage_told(path), zipfile.ZipFile(path) as archive:
        refuse_bomb(path, sum(entry.file_size for entry in archive.infolist()))
    with damage_told(path), np.load(path, allow_pickle=False) as arrays:
        if name not in arrays.files:
            raise DataError(
                f"{path} holds no array {name!r}, only {', '.join(arrays.files) or 'nothing'}; name it in "
                "source.format.parts"
            )
        try:
            large = _spilled(arrays.zip, name, path.parent)
            found: NDArray[Any] = arrays[name] if large is None else large
        except ValueError as error:
            if "pickle" not in str(error):
                raise
            raise DataError(
                f"{path}: the array {name} holds Python objects, which may do harm when read; save it as numbers, or "
                "as text (dtype str)"
            ) from None
    return found


def _spilled(archive: zipfile.ZipFile, name: str, folder: Path) -> NDArray[Any] | None:
    """An array that is too large for memory, a block at a time; None for all others, which NumPy reads."""
    entry = archive.getinfo(name if name in archive.NameToInfo else name + NPY)
    if fits(entry.file_size):
        return None
    with archive.open(entry) as file:
        header = read_header(file, name)
        if header.by_columns or header.dtype.hasobject or not header.shape or 0 in header.shape:
            return None
        count, *shape = header.shape
        found, row = Spill(folder), math.prod(shape) * header.dtype.itemsize
        for block in blocks(count, row):
            content = file.read((block.stop - block.start) * row)
            found.add(np.frombuffer(content, header.dtype).reshape(block.stop - block.start, *shape))
        file.read()  # to the end, where the checksum is compared
    return found.array()


def _bytes(images: NDArray[Any], where: str, folder: Path) -> Levels:
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(f"{where} is {images.dtype}; images are uint8 from 0 to 255, or floats from 0 to 1")
    lowest, highest = (float(limit(images)) for limit in (np.min, np.max)) if images.size else (0.0, 0.0)
    if not (lowest >= 0 and highest <= 1):  # so is NaN found
        raise DataError(f"{where} has floats from {lowest:g} to {highest:g}; they must be from 0 to 1, or uint8")
    return changed(lambda block: np.round(block * block.dtype.type(255)).astype(np.uint8), images, folder)


def _names(labels: NDArray[Any], classes: list[str], where: str) -> list[str]:
    if labels.dtype.kind == "U":
        return [str(label) for label in labels.tolist()]
    if labels.dtype.kind not in "iu":
        raise DataError(f"{where} is {labels.dtype}; labels are class names or their places in task.classes, from 0")
    return [classes[code] if 0 <= code < len(classes) else f"(label {code})" for code in labels.tolist()]
