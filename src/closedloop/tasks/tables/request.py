"""Rows of numbers and categories in requests."""

import math
from collections.abc import Callable, Collection, Sequence
from numbers import Real
from typing import Any

from closedloop.tasks.base import BadRecord

LISTED = 30  # fields or categories that an error or a schema lists
LONGEST = 60  # characters of a field's name that an error repeats


def read_rows(
    records: list[dict[str, Any]], numbers: Sequence[str], categories: Sequence[str], missing: Collection[str]
) -> dict[str, list[Any]]:
    """Each field's values over all records: a float or NaN for a number, a text or None for a category.

    An absent field is missing, and so are null, NaN, and the texts in `missing`. Raises BadRecord for what is no object
    of known fields, and a value of another type.
    """
    fields = (*numbers, *categories)
    known = frozenset(fields)
    for row, record in enumerate(records):
        if not isinstance(record, dict) or not record:
            raise BadRecord(row, "", f"expected an object with fields among {listed(fields)}")
        if not record.keys() <= known:
            unknown = next(name for name in record if name not in known)
            raise BadRecord(row, _printable(unknown), f"unknown field; allowed: {listed(fields)}")

    def values(name: str, read: Callable[[Any], Any]) -> list[Any]:
        found = []
        for row, record in enumerate(records):
            try:
                found.append(read(record.get(name)))
            except ValueError as error:
                raise BadRecord(row, name, str(error)) from None
        return found

    def category(value: Any) -> str | None:
        text = _category(value)
        return None if text in missing else text

    return {
        **{name: values(name, _number) for name in numbers},
        **{name: values(name, category) for name in categories},
    }


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError("expected a number or null")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise ValueError("expected a finite number or null")
    return number


def _category(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip()
    # in a data frame NaN stands for a missing text, too
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    raise ValueError("expected a text or null")


def _printable(name: Any) -> str:
    """An unknown field's name, as far as it looks like one: an error must not carry a payload back."""
    text = str(name)
    return text if len(text) <= LONGEST and text.replace(" ", "_").replace("-", "_").isidentifier() else ""


def listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + rest


def number_schema(low: float, high: float, instead: float) -> dict[str, Any]:
    """The JSON schema of a number that went from `low` to `high` in training."""
    return {
        "type": ["number", "null"],
        "description": f"from {low:g} to {high:g} in training; {instead:g} is taken where it is missing",
        "examples": [natural(instead)],
    }


def category_schema(values: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of a category with these values in training."""
    return {
        "type": ["string", "null"],
        "description": f"in training {listed(values)}; another one is taken for a rare one",
        "examples": list(values[:1]),
    }


def natural(number: float) -> float | int:
    """A whole number without a fraction, as a person would write it."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
