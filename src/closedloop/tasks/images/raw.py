"""Raw files of images in any of the formats -> a table of examples."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.array_columns import to_column
from closedloop.data.examples import ID, LABEL, PART
from closedloop.data.idx import read_idx
from closedloop.data.spill import blocks, changed
from closedloop.errors import DataError
from closedloop.tasks.images.arrays import read_arrays
from closedloop.tasks.images.folder import read_folder
from closedloop.tasks.images.pictures import Levels, fitted, has_colour, to_channels
from closedloop.tasks.images.request import IMAGE
from closedloop.tasks.schema import Idx, IdxPart, ImageArrays, ImageFolder

if TYPE_CHECKING:
    from closedloop.config import Params

UNREADABLE = b"unreadable"  # in the table's metadata: path -> why the file was left out
FILES = b"files"  # how many there were in all


def read_examples(raw: Path, params: "Params") -> pa.Table:
    """All parts of a source as examples with id, part, image and label; raises DataError for what cannot be used."""
    match params.source.format:
        case ImageFolder() as config:
            return _of_folders(raw, config)
        case ImageArrays() as config:
            return _of_arrays(raw, config, params.task.classes)
        case Idx() as config:
            return _of_idx(raw, config, params.task.classes)
        case other:
            raise DataError(f"source.format {other.name} holds no images")


def unreadable(examples: pa.Table) -> tuple[dict[str, str], int]:
    """The files that were left out, each with the reason, and how many files there were in all."""
    facts = examples.schema.metadata or {}
    return json.loads(facts.get(UNREADABLE, b"{}")), int(facts.get(FILES, examples.num_rows))


def _of_folders(raw: Path, config: ImageFolder) -> pa.Table:
    parts = [(part, read_folder(raw / part.archive, part, config)) for part in config.parts]
    channels = config.channels or (3 if any(found.coloured for _, found in parts) else 1)
    apart = len({part.archive for part in config.parts}) > 1  # train.zip and test.zip may both hold cat/1.png
    tables: list[pa.Table] = []
    faults: dict[str, str] = {}
    for part, found in parts:
        above = f"{part.archive}/" if apart else ""
        names, labels = ([values[row] for row in found.order()] for values in (found.names, found.labels))
        tables.append(_table(part.split, [above + name for name in names], found.images(channels), labels))
        faults |= {above + name: fault for name, fault in found.faults.items()}
    table = _joined(tables)
    if faults:
        count = str(table.num_rows + len(faults)).encode()
        table = table.replace_schema_metadata({UNREADABLE: json.dumps(faults).encode(), FILES: count})
    return table


def _of_arrays(raw: Path, config: ImageArrays, classes: list[str]) -> pa.Table:
    parts = [(part.split, *read_arrays(raw / part.file, part, classes)) for part in config.parts]
    coloured = any(images.ndim == 4 and _coloured(images) for _, images, _ in parts)
    channels = config.channels or (3 if coloured else 1)
    tables = []
    for split, images, labels in parts:
        levels = images
        if (images.ndim == 3) != (channels == 1) or (config.size and images.shape[1:3] != config.size):
            levels = changed(partial(_formed, channels=channels, config=config), images, raw)
        tables.append(_table(split, _counted(split, len(levels)), levels, labels))
    return _joined(tables)


def _coloured(images: Levels) -> bool:
    return any(has_colour(images[block]) for block in blocks(len(images), images[:1].nbytes))


def _formed(images: Levels, channels: int, config: ImageArrays) -> Levels:
    """(N, H, W) or (N, H, W, 3) in the channels and the size that are asked for."""
    levels = to_channels(images, images.ndim == 3, channels)
    if config.size is None or levels.shape[1:3] == config.size:
        return levels
    return np.stack([fitted(image, config.size, config.fit) for image in levels])


def _of_idx(raw: Path, config: Idx, classes: list[str]) -> pa.Table:
    """Pixels are stretched so that pixel_max becomes 255, labels become class names.

    Values above pixel_max become larger than 255, in a wider type, and label bytes without a class get a name that is
    none: `examine` and validation report them.
    """
    parts = [(part, *_idx_part(raw, part)) for part in config.parts]
    sizes = {f"{part.images} {images.shape[1]}x{images.shape[2]}" for part, images, _ in parts}
    if len({images.shape[1:] for _, images, _ in parts}) > 1:
        raise DataError(f"images must be of one size in all parts, found {', '.join(sorted(sizes))}")
    scale = config.pixel_max
    in_range = all(images.max(initial=0) <= scale for _, images, _ in parts)
    exact = np.round(np.arange(scale + 1 if in_range else 256) * 255 / scale)  # one for each raw value
    kind: type[np.unsignedinteger[Any]] = np.uint8 if in_range else np.uint16
    levels = exact.astype(kind)

    def stretched(images: NDArray[np.uint8]) -> NDArray[Any]:
        return images if scale == 255 else changed(lambda block: levels[block], images, raw)

    names = [f"(byte {code})" for code in range(256)]
    names[: len(classes)] = classes
    tables = []
    for part, images, labels in parts:
        told = [names[code] for code in labels.tolist()]
        tables.append(_table(part.split, _counted(part.split, len(images)), stretched(images), told))
    return pa.concat_tables(tables)


def _idx_part(raw: Path, part: IdxPart) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = read_idx(raw / part.images), read_idx(raw / part.labels)
    if images.ndim != 3 or labels.ndim != 1:
        found = f"found {images.ndim} and {labels.ndim}"
        raise DataError(f"{raw / part.images} must have 3 dimensions and {raw / part.labels} 1, {found}")
    if len(images) != len(labels):
        raise DataError(f"{raw / part.images} has {len(images)} images, {raw / part.labels} has {len(labels)} labels")
    if 0 in images.shape[1:]:
        raise DataError(f"{raw / part.images} holds images without pixels: {images.shape[1]}x{images.shape[2]}")
    return images, labels


def _counted(split: str, count: int) -> list[str]:
    return [f"{split}-{row:06d}" for row in range(count)]


def _table(split: str, names: list[str], images: NDArray[Any], labels: list[str]) -> pa.Table:
    return pa.table(
        {
            ID: pa.array(names, pa.string()),
            PART: pa.array([split] * len(images), pa.string()),
            IMAGE: to_column(images),
            LABEL: pa.array(labels, pa.string()),
        }
    )


def _joined(tables: list[pa.Table]) -> pa.Table:
    kinds = {table.schema.field(IMAGE).type for table in tables}
    if len(kinds) > 1:
        sizes = sorted({f"{kind.list_size} x {kind.value_type.list_size}" for kind in kinds})
        raise DataError(
            f"the parts' images are of different sizes (height x width): {', '.join(sizes)}; set source.format.size "
            "and source.format.fit"
        )
    return pa.concat_tables(tables)
