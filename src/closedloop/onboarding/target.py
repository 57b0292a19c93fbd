"""What the target of a table holds: classes, or numbers that are a quantity."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.config import Task
from closedloop.data.columns import as_text, number_labels
from closedloop.data.tables import try_numbers
from closedloop.errors import DataError
from closedloop.onboarding.classes import find_classes
from closedloop.onboarding.proposal import Asked
from closedloop.targets.number import as_numbers, is_number
from closedloop.targets.strata import strata

MANY_NUMBERS = 20  # different numbers in a target from which they are a quantity, and no classes


@dataclass(frozen=True)
class Found:
    """What the target holds."""

    labels: list[str | None]  # of each row its class, or the range of its number
    classes: dict[str, int]  # with their examples
    left_out: dict[str, int]  # labels that cannot be learnt
    number: str = ""
    numbers: NDArray[np.float64] | None = None  # of the rows that have one


def find_labels(table: pa.Table, asked: Asked, where: str) -> Found:
    """The classes of a target; raises DataError as `find_classes` does."""
    labels = as_text(table.column(asked.target)).to_pylist()
    classes, rare = find_classes(labels, f"{where}: the target {asked.target!r}")
    unlabelled = labels.count(None)
    return Found(labels, classes, {**({"(missing)": unlabelled} if unlabelled else {}), **rare})


def find_numbers(table: pa.Table, asked: Asked, decimal: str, where: str) -> Found:
    """The numbers of a target; raises DataError when there are texts among them."""
    column = table.column(asked.target)
    labels = number_labels(column, decimal).to_pylist()
    wrong = [(row, text) for row, text in enumerate(labels) if text is not None and not is_number(text)]
    if wrong:
        named = ", ".join(f"row {row + 1} {text[:20]!r}" for row, text in wrong[:5])
        raise DataError(
            f"{where}: the target {asked.target!r} holds numbers, and {len(wrong):,} values that are none: {named}; "
            "mend them, leave them empty, or name another TARGET"
        )
    present = [text for text in labels if text is not None]
    values = as_numbers(present)
    ranges = strata(Task(name="x", kind="tables", title="x", target="number"), present, [True] * len(present))
    said = iter(ranges.of)
    number = f"from {values.min():g} to {values.max():g}, half of them below {np.median(values):g}"
    missing = len(labels) - len(present)
    return Found(
        [None if text is None else next(said) for text in labels],
        {name: count for name, count in ranges.counts().items() if count},
        {"(missing)": missing} if missing else {},
        number,
        values,
    )


def is_quantity(target: pa.ChunkedArray) -> bool:
    """Many different numbers: a quantity. Few of them, or texts, are classes."""
    present = target.drop_null()
    if len(present.unique()) <= MANY_NUMBERS:
        return False
    wrong = min(len(try_numbers(present, decimal)[1]) for decimal in ".,")
    return wrong < len(present) / 2
