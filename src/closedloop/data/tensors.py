"""A split as one file of tensors, memory-mapped when read."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from closedloop.errors import DataError
from closedloop.files import write_bytes

CARDINALITIES = "cardinalities"  # key of the metadata

TARGETS = "targets"  # the array beside the inputs


def write_tensors(
    path: Path, tensors: dict[str, NDArray[np.generic]], cardinalities: dict[str, list[int]] | None = None
) -> None:
    """Write named arrays atomically, with the number of values that each column of an integer input has."""
    facts = {CARDINALITIES: json.dumps(cardinalities or {})}
    # as bytes: safetensors' own writer hides the system's reason when the disk is full
    write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, facts))


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
