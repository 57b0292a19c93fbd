"""Observations as they are, in files and in requests."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.files import write_json
from closedloop.tasks.base import Arrays, BadRecord
from closedloop.tasks.control.cartpole import OBSERVATION

if TYPE_CHECKING:
    import pyarrow as pa

INPUT = "observation"
UNITS = ("m from the middle of the track", "m/s", "rad from upright, to the right", "rad/s")
LARGEST = 1e6


@dataclass(frozen=True)
class ObservationPreprocessor:
    """Observations as numbers; the network itself brings them to scale, as it does while it learns."""

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        return {}

    def transform(self, examples: "pa.Table") -> Arrays:
        """Observations (N, 4)."""
        columns = [examples.column(name).to_numpy() for name in OBSERVATION]
        return {INPUT: np.stack(columns, axis=1).astype(np.float32)}

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        return {INPUT: self._read(records).astype(np.float32)}

    def _read(self, records: list[dict[str, Any]]) -> NDArray[np.float64]:
        return np.array([_observation(row, record) for row, record in enumerate(records)], np.float64)

    def request_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                name: {"type": "number", "minimum": -LARGEST, "maximum": LARGEST, "description": unit}
                for name, unit in zip(OBSERVATION, UNITS, strict=True)
            },
            "required": list(OBSERVATION),
            "additionalProperties": False,
        }

    def request_example(self) -> dict[str, Any]:
        return dict(zip(OBSERVATION, (0.02, -0.01, 0.03, 0.04), strict=True))

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """[{"cart_position": …, …}, …] -> examples."""
        import pyarrow as pa

        return pa.table(dict(zip(OBSERVATION, self._read(records).T, strict=True)))

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = examples.select(OBSERVATION).to_pylist()
        return records

    def save(self, folder: Path) -> None:
        write_json(folder / "preprocessor.json", {"kind": "control"})


def _observation(row: int, record: Any) -> list[float]:
    if not isinstance(record, dict) or record.keys() != set(OBSERVATION):
        raise BadRecord(row, "", f"expected an object with exactly the fields {', '.join(OBSERVATION)}")
    return [_number(row, name, record[name]) for name in OBSERVATION]


def _number(row: int, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise BadRecord(row, name, "expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= LARGEST:  # with NaN no comparison holds
        raise BadRecord(row, name, f"expected a number from {-LARGEST:g} to {LARGEST:g}")
    return number
