"""A split as one file of tensors, memory-mapped when read."""

import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from closedloop.errors import DataError
from closedloop.files import atomic

CARDINALITIES = "cardinalities"  # key of the metadata

TARGETS = "targets"  # the array beside the inputs

KINDS = {  # as safetensors calls them, in the order in which it writes them
    **{"uint64": "U64", "int64": "I64", "float64": "F64", "float32": "F32", "uint32": "U32", "int32": "I32"},
    **{"float16": "F16", "uint16": "U16", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL"},
}


def write_tensors(
    path: Path,
    blocks: Iterable[dict[str, NDArray[np.generic]]],
    rows: int,
    cardinalities: dict[str, list[int]] | None = None,
) -> None:
    """Write named arrays of so many rows atomically, whose blocks of rows come one after the other.

    With them goes the number of values that each column of an integer input has. The library writes whole arrays alone,
    of which it makes a copy. Raises ValueError when the blocks do not fit together, or have another number of rows.
    """
    with atomic(path) as temporary, temporary.open("wb") as file:
        layout: dict[str, Layout] = {}
        row = 0
        for block in blocks:
            if not layout:
                layout, header = _laid_out(block, rows, {CARDINALITIES: json.dumps(cardinalities or {})})
                file.write(header)
            row += _write_block(file, block, layout, row)
        if row != rows:
            raise ValueError(f"{path}: {rows} rows were to come, {row} came")


class Layout(NamedTuple):
    """Where an array begins in a file, and what one of its rows is."""

    start: int  # bytes
    shape: tuple[int, ...]
    kind: np.dtype[Any]

    @property
    def row(self) -> int:
        return math.prod(self.shape) * self.kind.itemsize


def _laid_out(
    block: dict[str, NDArray[np.generic]], rows: int, facts: dict[str, str]
) -> tuple[dict[str, Layout], bytes]:
    """The places of the arrays in the library's order, and the file's header.

    The form: https://github.com/huggingface/safetensors#format
    """
    entries: dict[str, Any] = {"__metadata__": facts}
    found: dict[str, Layout] = {}
    start = 0
    for name, array in sorted(block.items(), key=lambda item: (list(KINDS).index(item[1].dtype.name), item[0])):
        found[name] = Layout(start, array.shape[1:], array.dtype)
        stop = start + rows * found[name].row
        entries[name] = {
            "dtype": KINDS[array.dtype.name],
            "shape": [rows, *array.shape[1:]],
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    header = struct.pack("<Q", len(text)) + text
    return {name: one._replace(start=one.start + len(header)) for name, one in found.items()}, header


def _write_block(file: IO[bytes], block: dict[str, NDArray[np.generic]], layout: dict[str, Layout], row: int) -> int:
    """Write the arrays' next rows; return how many there are."""
    found = {name: (array.shape[1:], array.dtype) for name, array in block.items()}
    expected = {name: (one.shape, one.kind) for name, one in layout.items()}
    lengths = {len(array) for array in block.values()}
    if found != expected or len(lengths) > 1:
        raise ValueError(f"rows of {expected} go on as {found}, with {lengths} rows")
    for name, array in block.items():
        file.seek(layout[name].start + row * layout[name].row)
        file.write(np.ascontiguousarray(array).data)
    return lengths.pop()


def read_cardinalities(path: Path) -> dict[str, list[int]]:
    """The number of values of each column of the integer inputs in a file of tensors, by the input's name."""
    with safe_open(path, framework="numpy") as file:
        found: dict[str, list[int]] = json.loads((file.metadata() or {}).get(CARDINALITIES, "{}"))
        return found


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read named arrays.

    Raises DataError when the file is missing or unreadable.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
    except FileNotFoundError:
        raise DataError(f"{path} is missing; run the stage that makes it with `dvc repro`") from None
    except SafetensorError as error:
        raise DataError(f"{path} is not readable ({error}); delete it and run `dvc repro`") from None
