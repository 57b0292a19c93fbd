"""Shifts rows on purpose, as they would arrive after the world has changed."""

import numpy as np
import pyarrow as pa

from closedloop.data.examples import LABEL
from closedloop.errors import ConfigError, DataError
from closedloop.tasks.imbalance import imbalanced_rows
from closedloop.tasks.tables.task import fields

# Strength by severity 1 to 5.
INFLATION = (1.1, 1.2, 1.4, 1.7, 2.2)  # factor on every number: another currency, other units, years of rising prices
MISSING = (0.05, 0.10, 0.20, 0.35, 0.60)  # share of the values that do not arrive, each by its own draw
RECODING = (0.05, 0.15, 0.35, 0.65, 1.0)  # share of the rows whose categories come in another spelling
IMBALANCE = (0.15, 0.30, 0.45, 0.65, 0.85)  # share of the rows that is redrawn from the few favoured classes
SCENARIOS = ("inflation", "missing", "recoding", "imbalance")


def shift(examples: pa.Table, scenario: str, severity: int, rng: np.random.Generator) -> pa.Table:
    """Return as many examples as they would arrive in a scenario at a severity from 1 to 5; `none` changes nothing.

    Raises ConfigError for an unknown scenario or severity, DataError when imbalance finds an example without a label.
    """
    if scenario == "none":
        return examples
    if severity not in range(1, 6):
        raise ConfigError(f"traffic.severity must be from 1 to 5, not {severity}")
    numbers, categories = fields(examples)
    match scenario:
        case "inflation":
            factor = INFLATION[severity - 1]
            return _changed(examples, {name: _times(examples.column(name), factor) for name in numbers})
        case "missing":
            share = MISSING[severity - 1]
            names = (*numbers, *categories)
            return _changed(examples, {name: _thinned(examples.column(name), share, rng) for name in names})
        case "recoding":
            chosen = rng.random(examples.num_rows) < RECODING[severity - 1]
            return _changed(examples, {name: _respelt(examples.column(name), chosen) for name in categories})
        case "imbalance":
            if LABEL not in examples.column_names or examples.column(LABEL).null_count:
                raise DataError("traffic.scenario imbalance needs a label for every example; choose another scenario")
            rows = imbalanced_rows(examples.column(LABEL).to_pylist(), IMBALANCE[severity - 1], rng)
            return examples.take(pa.array(rows))
    raise ConfigError(f"traffic.scenario must be one of none, {', '.join(SCENARIOS)}, not {scenario!r}")


def _changed(examples: pa.Table, columns: dict[str, pa.Array]) -> pa.Table:
    for name, column in columns.items():
        examples = examples.set_column(examples.schema.get_field_index(name), name, column)
    return examples


def _times(column: pa.ChunkedArray, factor: float) -> pa.Array:
    values = column.to_numpy().astype(np.float64) * factor
    return pa.array(values, pa.float64(), from_pandas=True)


def _thinned(column: pa.ChunkedArray, share: float, rng: np.random.Generator) -> pa.Array:
    lost = rng.random(len(column)) < share
    values = [None if gone else value for value, gone in zip(column.to_pylist(), lost, strict=True)]
    return pa.array(values, column.type)


def _respelt(column: pa.ChunkedArray, chosen: np.ndarray) -> pa.Array:
    """Capital letters instead of small ones and small ones instead of capitals, and a mark where that is the same."""

    def respelt(value: str) -> str:
        swapped = value.swapcase()
        return swapped if swapped != value else f"{value}*"

    pairs = zip(column.to_pylist(), chosen, strict=True)
    return pa.array([respelt(value) if hit and value is not None else value for value, hit in pairs], pa.string())
