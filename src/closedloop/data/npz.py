"""The headers of the arrays in an .npz file: what they hold, without reading it."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from closedloop.data.archives import damage_told
from closedloop.errors import DataError

NPY = ".npy"


@dataclass(frozen=True)
class Header:
    """The shape and the type of one array; `by_columns` says whether the first index moves fastest."""

    name: str
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    by_columns: bool

    def __str__(self) -> str:
        return f"{self.name} {self.shape} {self.dtype}"


def read_headers(path: Path) -> dict[str, Header]:
    """All arrays by their names; raises DataError when the file is damaged, or is none of numpy's."""
    with damage_told(path), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(NPY) for name in archive.namelist() if name.endswith(NPY)]
        if not names:
            raise DataError(f"{path} holds no arrays; numpy.savez writes them, with a name each")
        headers = {}
        for name in names:
            with archive.open(name + NPY) as file:
                headers[name] = read_header(file, name)
        return headers


def read_header(file: IO[bytes], name: str) -> Header:
    """What the bytes of an array begin with; those of its values come next."""
    version = npy.read_magic(file)
    # (3, 0) differs from (2, 0) in the names of fields alone, of which images and labels have none
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    return Header(name, shape, dtype, by_columns)
