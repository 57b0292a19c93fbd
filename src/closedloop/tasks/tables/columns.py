"""The columns of a raw table: which of them is what, and the examples that they make."""

import difflib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from closedloop.data.examples import GROUP, ID, LABEL, PART
from closedloop.data.tables import parse_numbers, try_numbers
from closedloop.errors import DataError
from closedloop.tasks.schema import Table

RESERVED = (ID, PART, LABEL, GROUP)  # columns that every example has for something else
MOSTLY = 0.5  # share of numbers among the values of a column above which a text in it is taken for a mistake


def check_names(table: pa.Table, config: Table, where: str) -> None:
    """Raise DataError when a configured column is absent, or a column of the file has no role."""
    roles = {
        "target": [config.target],
        "id": [config.id] if config.id else [],
        "group": [config.group] if config.group else [],
        "numbers": config.numbers,
        "categories": config.categories,
        "ignored": config.ignored,
    }
    found = table.column_names
    for role, names in roles.items():
        absent = [name for name in names if name not in found]
        if absent:
            close = difflib.get_close_matches(absent[0], found, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise DataError(
                f"{where} has no column {', '.join(map(repr, absent))}{hint}, which source.format.{role} names; its "
                f"columns are {_listed(found)}"
            )
    left = [name for name in found if not any(name in names for names in roles.values())]
    if left and (config.numbers or config.categories):
        raise DataError(
            f"{where} has columns without a role: {_listed(left)}; name each in source.format.numbers, categories or "
            "ignored"
        )


def features(tables: Sequence[pa.Table], config: Table) -> tuple[list[str], list[str]]:
    """The columns of numbers and those of categories, as configured, or by the values of all parts together.

    A column is one of numbers when all its values are, and none begins with a zero as codes do. Raises DataError for
    a column of numbers with some texts among them, for one that cannot be called so, and when there is none at all.
    """
    numbers, categories = list(config.numbers), list(config.categories)
    if not numbers and not categories:
        taken = {config.target, config.id, config.group, *config.ignored}
        for name in (name for name in tables[0].column_names if name not in taken):
            column = pa.chunked_array([chunk for table in tables for chunk in table.column(name).chunks])
            (numbers if _is_number(column, name) else categories).append(name)
    if not numbers and not categories:
        raise DataError("there is no column to learn from: all are target, id, group or ignored")
    reserved = [name for name in (*numbers, *categories) if name in RESERVED]
    if reserved:
        raise DataError(
            f"a column to learn from cannot be called {', '.join(reserved)}: every example has such a column for "
            "something else; call it otherwise in the file, or name the columns in source.format.layout.columns"
        )
    return numbers, categories


def _is_number(column: pa.ChunkedArray, name: str) -> bool:
    if pa.types.is_floating(column.type):
        return True
    present = column.drop_null()
    if len(present) == 0 or pc.any(pc.match_substring_regex(present, r"^[+-]?0\d")).as_py():
        return False
    wrong = len(try_numbers(present)[1])
    if 0 < wrong < (1 - MOSTLY) * len(present):
        remedy = (
            f"name {name} in source.format.categories if they are meant so; or in source.format.numbers, and these "
            "texts in source.format.layout.missing"
        )
        parse_numbers(column, f"column {name}", remedy)
    return wrong == 0


def examples(table: pa.Table, split: str, config: Table, roles: tuple[list[str], list[str]], where: str) -> pa.Table:
    """The rows of one part as examples: id, part, numbers (float64), categories (string), label, and perhaps group."""
    numbers, categories = roles
    rows = table.num_rows
    remedy = "mend them, or name them in source.format.layout.missing if they stand for a missing value"
    counted = pa.array([f"{split}-{row:06d}" for row in range(rows)], pa.string())
    columns = {
        ID: as_text(table.column(config.id)) if config.id else counted,
        PART: pa.array([split] * rows, pa.string()),
        **{name: parse_numbers(table.column(name), f"{where}: column {name}", remedy) for name in numbers},
        **{name: as_text(table.column(name)) for name in categories},
        LABEL: as_text(table.column(config.target)),
    }
    if config.group:
        columns[GROUP] = as_text(table.column(config.group))
    return pa.table(columns)


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text; whole numbers without a fraction, as 1 and 1.0 are the same name."""
    if not pa.types.is_floating(column.type):
        return column
    names = [
        None if value is None else f"{value:.0f}" if value.is_integer() else repr(value) for value in column.to_pylist()
    ]
    return pa.chunked_array([pa.array(names, pa.string())])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:30]) + (
        f" and {len(names) - 30} more" if len(names) > 30 else ""
    )
