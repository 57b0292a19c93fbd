"""The IDX format of MNIST: a magic number, the dimensions, then bytes."""

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import atomic

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Memory-map an IDX file of unsigned bytes, in its own shape.

    Raises DataError when the file is missing, is not IDX, or its length differs from what its header promises.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; run the acquire stage")
    with path.open("rb") as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE or not 1 <= magic[3] <= 4:
            raise DataError(f"{path} is not an IDX file of unsigned bytes: it begins with {magic.hex() or 'nothing'}")
        header = file.read(4 * magic[3])
        if len(header) < 4 * magic[3]:
            raise DataError(f"{path} ends inside its header")
    shape = struct.unpack(f">{magic[3]}I", header)
    offset, expected = 4 + len(header), math.prod(shape)
    found = path.stat().st_size - offset
    if found != expected:
        size = " x ".join(str(length) for length in shape)
        raise DataError(f"{path} promises {size} = {expected} bytes after its header and has {found}; acquire it again")
    if expected == 0:
        return np.zeros(shape, np.uint8)
    return np.memmap(path, np.uint8, mode="r", offset=offset, shape=shape)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write unsigned bytes of 1 to 4 dimensions as IDX, atomically."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(bytes([0, 0, UNSIGNED_BYTE, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape))
        file.write(np.ascontiguousarray(array, np.uint8).tobytes())
