"""The columns of a raw table: which of them is what, and the examples that they make."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from closedloop.data.columns import as_text, framed, listed, near_miss, number_labels, require_columns
from closedloop.data.examples import ASIDE
from closedloop.data.tables import parse_numbers, try_numbers
from closedloop.errors import DataError
from closedloop.tasks.schema import Table

MOSTLY = 0.5  # share of numbers among the values of a column above which a text in it is taken for a mistake


def renamed(table: pa.Table, config: Table, where: str) -> pa.Table:
    """The table with `config.rename` applied; raises DataError for one that is absent, or a name that is taken."""
    for old, new in config.rename.items():
        if old not in table.column_names:
            hint = near_miss(old, table.column_names)
            raise DataError(f"{where} has no column {old!r}{hint}, which source.format.rename names")
        if new in table.column_names:
            raise DataError(f"{where} has a column {new!r} already; change source.format.rename")
        table = table.rename_columns([new if name == old else name for name in table.column_names])
    return table


def check_names(table: pa.Table, config: Table, where: str) -> None:
    """Raise DataError when a configured column is absent, or a column of the file has no role."""
    require_columns(table, config, where)
    named = {name for names in config.roles.values() for name in names}
    left = [name for name in table.column_names if name not in named]
    if left and (config.numbers or config.categories):
        raise DataError(
            f"{where} has columns without a role: {listed(left)}; name each in source.format.numbers, categories or "
            "ignored"
        )


def features(tables: Sequence[pa.Table], config: Table) -> tuple[list[str], list[str]]:
    """The columns of numbers and those of categories, as configured, or by the values of all parts together.

    A column is one of numbers when all its values are, and none begins with a zero as codes do. Raises DataError for
    a column of numbers with some texts among them, for one that cannot be called so, and when there is none at all.
    """
    numbers, categories = list(config.numbers), list(config.categories)
    if not numbers and not categories:
        taken = {name for names in config.roles.values() for name in names}
        for name in (name for name in tables[0].column_names if name not in taken):
            column = pa.chunked_array([chunk for table in tables for chunk in table.column(name).chunks])
            (numbers if _is_number(column, name, config.layout.decimal) else categories).append(name)
    if not numbers and not categories:
        raise DataError("there is no column to learn from: all are target, id, group, time or ignored")
    reserved = [name for name in (*numbers, *categories) if name in ASIDE]
    if reserved:
        raise DataError(
            f"a column to learn from cannot be called {', '.join(reserved)}: every example has such a column for "
            "something else; give it another name in source.format.rename"
        )
    return numbers, categories


def _is_number(column: pa.ChunkedArray, name: str, decimal: str) -> bool:
    if pa.types.is_floating(column.type):
        return True
    present = column.drop_null()
    if len(present) == 0 or pc.any(pc.match_substring_regex(present, r"^[+-]?0\d")).as_py():
        return False
    wrong = len(try_numbers(present, decimal)[1])
    if 0 < wrong < (1 - MOSTLY) * len(present):
        remedy = (
            f"name {name} in source.format.categories if they are meant so; or in source.format.numbers, and these "
            "texts in source.format.layout.missing"
        )
        parse_numbers(column, f"column {name}", remedy, decimal)
    return wrong == 0


def examples(
    table: pa.Table, split: str, config: Table, roles: tuple[list[str], list[str]], where: str, *, of_numbers: bool
) -> pa.Table:
    """The rows of one part as examples, with numbers (float64) and categories (string).

    `of_numbers`: whether the labels are numbers, which files write in several ways.
    """
    numbers, categories = roles
    remedy = "mend them, or name them in source.format.layout.missing if they stand for a missing value"
    content = {
        name: parse_numbers(table.column(name), f"{where}: column {name}", remedy, config.layout.decimal)
        for name in numbers
    }
    content |= {name: as_text(table.column(name)) for name in categories}
    labels = number_labels(table.column(config.target), config.layout.decimal) if of_numbers else None
    return framed(table, split, config, content, where, labels=labels)
