"""What the columns of one table come to together: one id, one group, one time, no leaks, a table or texts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.columns import listed, near_miss
from closedloop.data.examples import ASIDE
from closedloop.errors import DataError
from closedloop.onboarding.columns import Column
from closedloop.onboarding.leaks import CERTAIN, accuracy_alone, is_suspect, rank_correlation
from closedloop.onboarding.proposal import Asked

LISTED = 12  # columns in an error


@dataclass(frozen=True)
class Labelled:
    """A table with the label of each row, None where it lacks one."""

    table: pa.Table
    labels: Sequence[str | None]
    classes: dict[str, int]  # with their examples
    decimal: str
    numbers: NDArray[np.float64] | None = None  # of the rows with a label, where labels are ranges of numbers

    def known(self) -> tuple[pa.Table, NDArray[np.int64]]:
        """The rows whose label is a class, and its number."""
        order = {name: code for code, name in enumerate(self.classes)}
        codes = np.array([order.get(label or "", -1) for label in self.labels])
        return self.table.filter(pa.array(codes >= 0)), codes[codes >= 0]


def settle(judged: Sequence[Column], rows: Labelled, asked: Asked) -> list[Column]:
    """The columns as they will be configured: a text column is left in only where the task is one of texts.

    Raises DataError when nothing is left to learn from, or the column TEXT does not exist.
    """
    columns = _one_each(judged)
    texts = [one.name for one in columns if one.role == "text"]
    features = [one for one in columns if one.role in ("number", "category")]
    text = asked.text or (texts[0] if len(texts) == 1 and not features else "")
    if text:
        return _texts(columns, text, asked)
    if len(texts) > 1 and not features:
        raise DataError(f"{asked.path} holds several columns of texts; say TEXT=… with one of {listed(texts)}")
    columns = _without_leaks([_without_text(one) if one.role == "text" else one for one in columns], rows)
    if not any(one.role in ("number", "category") for one in columns):
        step = "if one of them is text to read, say TEXT=… with its name" if columns else "there is none at all"
        raise DataError(f"{asked.path} holds no column to learn from besides the target; {step}{in_words(columns)}")
    return columns


def _one_each(columns: Sequence[Column]) -> list[Column]:
    first: dict[str, str] = {}
    for one in columns:
        first.setdefault(one.role, one.name)

    def further(one: Column) -> Column:
        if one.role not in ("id", "group", "time") or first[one.role] == one.name:
            return one
        return replace(
            one, role="left out", why=f"a further {one.role} beside {first[one.role]}", check=one.role != "id"
        )

    return [further(one) for one in columns]


def _texts(columns: Sequence[Column], text: str, asked: Asked) -> list[Column]:
    names = [one.name for one in columns]
    if text not in names:
        raise DataError(f"{asked.path} has no column {text!r}{near_miss(text, names)}; its columns are {listed(names)}")

    def role(one: Column) -> Column:
        if one.name == text:
            return replace(one, role="text", why="the text that is read", check=False)
        if one.role in ("number", "category", "text"):
            return replace(one, role="left out", why=f"the model reads {text} alone", check=False)
        return one

    return [role(one) for one in columns]


def _without_text(one: Column) -> Column:
    why = f"free text, which a model of tables does not read; TEXT={one.name} makes a task of it"
    return replace(one, role="left out", why=why, check=True)


def _without_leaks(columns: Sequence[Column], rows: Labelled) -> list[Column]:
    """Leaves out what tells the target with hardly an exception, and marks what nearly does."""
    table, codes = rows.known()
    most = max(rows.classes.values()) / len(codes)

    def judged(one: Column) -> Column:
        if one.role not in ("number", "category"):
            return one
        if one.role == "number" and rows.numbers is not None:
            together = rank_correlation(table.column(one.name), rows.numbers, rows.decimal)
            if together >= CERTAIN:
                why = "it rises and falls with the target: a leak, unless it is known before; then put it back"
                return replace(one, role="left out", why=why, check=True)
        accuracy = accuracy_alone(table.column(one.name), codes, one.role, rows.decimal)
        if not is_suspect(accuracy, most):
            return one
        told = f"it alone tells the target in {math.floor(1000 * accuracy) / 10}% of the rows"
        if accuracy >= CERTAIN:
            why = f"{told}: a leak, unless it is known before the target is; then put it back"
            return replace(one, role="left out", why=why, check=True)
        return replace(one, why=f"{told}: a leak, unless it is known before the target is", check=True)

    return [judged(one) for one in columns]


def in_words(columns: Sequence[Column]) -> str:
    """What the columns that are not learnt from were taken for, a line each."""
    lines = [f"\n  - {one.name}: {one.why or one.role}" for one in columns if one.role not in ("number", "category")]
    return "".join(lines[:LISTED]) + (f"\n  and {len(lines) - LISTED} more" if len(lines) > LISTED else "")


def renamings(columns: Sequence[Column]) -> dict[str, str]:
    """Other names for columns to learn from whose own ones every example has for something else."""
    names = {one.name for one in columns}
    clashing = [one.name for one in columns if one.role in ("number", "category") and one.name in ASIDE]
    return {
        name: next(f"{name}{'_' * n}" for n in range(1, 99) if f"{name}{'_' * n}" not in names) for name in clashing
    }
