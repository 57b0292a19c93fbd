"""A split as one file of tensors, memory-mapped when read."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from closedloop.errors import DataError
from closedloop.files import write_bytes


def write_tensors(path: Path, tensors: dict[str, NDArray[np.generic]]) -> None:
    """Write named arrays atomically."""
    # as bytes: safetensors' own writer hides the system's reason when the disk is full
    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in tensors.items()}))


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
