"""What each column of a table is: a number, a category, a text, a name, a time, or nothing to learn from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closedloop.data.tables import try_numbers
from closedloop.data.times import TimeFormat, find_time_format, read_time

Role = Literal["number", "category", "text", "id", "group", "time", "left out"]

MARKERS = frozenset({"?", "na", "n/a", "n.a.", "nan", "#n/a", "null", "nil", "<na>"})  # of a missing value, anywhere
MANY = 20  # different values from which numbers are a quantity, even if some texts stand among them
STRAYS = 0.05  # share of texts in a column of numbers that are still taken for missing values
DIFFERENT_STRAYS = 10  # and how many different ones
HOLLOW = 0.98  # share of missing values above which there is nothing to learn from a column
NAMES = 0.5  # share of distinct values above which a category is a name: validation.max_distinct_share
WORDS, CHARACTERS = 4, 40  # in a value, on average, from which a column holds free text
DIFFERENT_TEXTS = 0.2  # share of the values of such a column that must differ

EXAMPLE = {".": "1234.5", ",": "1234,5"}  # by the decimal mark

NAME_OF_ID = re.compile(r"(^|[\W_])(id|ids|key|uid|uuid|guid|index|no|nr|number|code|row)$|(?-i:[a-z]I[dD]$)", re.I)
NAMELESS = re.compile(r"^unnamed(: \d+)?$|^column 1$", re.I)
NAME_OF_GROUP = re.compile(
    r"^(patient|person|user|customer|client|subject|speaker|household|session|device|account|student|author)s?([\W_]?id)?$"
    r"|(^|[\W_])ids?$|(?-i:[a-z]I[dD]$)",  # and not paid, acid, valid
    re.I,
)
NAME_OF_TIME = re.compile(r"date|time|timestamp|created|updated|when|(^|[\W_])(day|at|on|ts)$|month|week|year", re.I)
NAME_OF_BIRTH = re.compile(r"birth|born|dob", re.I)


@dataclass(frozen=True)
class Column:
    """A column, what it is taken for, and why where that is not plain."""

    name: str
    role: Role
    holds: str  # in words
    why: str = ""
    check: bool = False  # whether a person should look at it
    time: TimeFormat | None = None  # of a column of times


def missing_markers(table: pa.Table, taken: set[str], decimal: str) -> tuple[list[str], list[str]]:
    """The texts that stand for a missing value in any column, and what to tell about those that were only guessed.

    In a column that is otherwise of numbers, a few different texts are taken for that; elsewhere the usual markers are.
    `taken` are texts that mean something: the classes.
    """
    markers: dict[str, None] = {"": None}
    guessed = []
    for name in table.column_names:
        column = table.column(name)
        if not pa.types.is_string(column.type):
            continue
        present = column.drop_null()
        if len(present) == 0:
            continue
        usual = [text for text in present.unique().to_pylist() if text.lower() in MARKERS and text not in taken]
        markers |= dict.fromkeys(usual)
        rest = present.filter(pc.invert(pc.is_in(present, pa.array(usual, pa.string())))) if usual else present
        wrong = try_numbers(rest, decimal)[1] if len(rest) else np.array([], np.intp)
        if not 0 < len(wrong) <= STRAYS * len(rest) or len(rest.unique()) <= MANY:
            continue
        strays = list(dict.fromkeys(rest.take(pa.array(wrong)).to_pylist()))
        if len(strays) <= DIFFERENT_STRAYS and not taken & set(strays):
            markers |= dict.fromkeys(strays)
            shown = ", ".join(repr(text[:20]) for text in strays[:5])
            rows = column.to_pylist()
            guessed.append(
                f"{name}: {len(wrong)} of {len(rest)} values are no numbers, first row {rows.index(strays[0]) + 1} "
                f"{strays[0][:20]!r}; {shown} are taken for missing values (format.layout.missing)"
            )
    return list(markers), guessed


def has_decimal_comma(table: pa.Table) -> bool:
    """Whether more columns write 1,5 than write 1.5."""
    written = {"comma": 0, "point": 0}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_string(column.type) and len(present := column.drop_null().slice(0, 1000)):
            for kind, pattern in (("comma", r"^[+-]?\d+,\d+$"), ("point", r"^[+-]?\d+\.\d+$")):
                written[kind] += pc.mean(pc.match_substring_regex(present, pattern).cast(pa.int8())).as_py() > 0.3
    return written["comma"] > written["point"]


def judge(name: str, column: pa.ChunkedArray, decimal: str = ".") -> Column:
    """What a column is, by its values and its name."""
    rows, present = len(column), column.drop_null()
    gaps = f", {column.null_count / rows:.1%} missing" if column.null_count else ""
    values = present.unique()
    if len(present) == 0:
        return Column(name, "left out", "nothing", "all values are missing")
    if len(values) == 1:
        return Column(name, "left out", f"{_short(present[0].as_py())!r}{gaps}", "constant: one value only")
    if column.null_count > HOLLOW * rows:
        return Column(name, "left out", f"{len(values)} values{gaps}", f"more than {HOLLOW:.0%} is missing")
    if _is_number(present, decimal):
        return _number(name, present, rows, gaps, decimal)
    wrong = try_numbers(column, decimal)[1]
    if 0 < len(wrong) < len(present) / 2 and len(values) > MANY:
        first = _short(column[int(wrong[0])].as_py())
        why = f"mixed: {len(wrong)} of {len(present)} values are no numbers, first row {wrong[0] + 1} {first!r}"
        return Column(name, "left out", f"{len(values):,} distinct{gaps}", why, check=True)
    time = find_time_format(values.to_pylist())
    return _time(name, values.to_pylist(), time, gaps) if time else _words(name, present, rows, gaps, decimal)


def _words(name: str, present: pa.ChunkedArray, rows: int, gaps: str, decimal: str) -> Column:
    """A category, a text, a name or numbers that cannot be read: what is written in words."""
    distinct, example = len(present.unique()), _short(present[0].as_py())
    holds = f"{distinct:,} distinct, such as {example!r}{gaps}"
    words, characters = _length(present)
    if words > 1.5 and (words >= WORDS or characters >= CHARACTERS) and distinct > DIFFERENT_TEXTS * len(present):
        column = Column(name, "text", f"{words:.0f} words, {characters:.0f} characters on average{gaps}")
    elif _written_otherwise(present):
        why = f"numbers in another notation, such as {example!r}; write all of them as {EXAMPLE[decimal]}"
        column = Column(name, "left out", holds, why, check=True)
    elif distinct == rows:
        column = Column(name, "id", holds, "unique: a name, which the model does not see")
    elif NAME_OF_GROUP.search(name) and distinct >= 10:
        column = _group(name, holds, distinct, len(present))
    elif distinct > NAMES * len(present):
        column = Column(name, "left out", holds, "hardly a value comes back: a name")
    else:
        column = Column(name, "category", holds)
    return column


def _number(name: str, present: pa.ChunkedArray, rows: int, gaps: str, decimal: str) -> Column:
    values = try_numbers(present, decimal)[0].to_numpy(zero_copy_only=False)
    low, high, whole, distinct = values.min(), values.max(), (values == np.round(values)).all(), len(np.unique(values))
    holds = f"{_figure(low)} to {_figure(high)}{gaps}"
    if NAMELESS.search(name) and whole:
        return Column(name, "left out", holds, "row numbers, by its name that is none")
    if distinct == rows and whole and (high - low == rows - 1 or NAME_OF_ID.search(name)):
        return Column(name, "id", holds, "unique: a name, which the model does not see")
    if whole and NAME_OF_GROUP.search(name) and 10 <= distinct < len(values):
        return _group(name, holds, distinct, len(values))
    return Column(name, "number", holds)


def _written_otherwise(present: pa.ChunkedArray) -> bool:
    """Whether most values are numbers with thousands set apart, with a unit, or with the other decimal mark."""
    looks = pc.match_substring_regex(
        present, r"^[^\w]{0,3}\d{1,3}\d*([., ']\d{3})*([.,]\d+)?\s?(%|\p{Sc}|[A-Za-z]{1,3})?$"
    )
    codes = pc.match_substring_regex(present, r"^\d+$")  # such as 00123
    otherwise = pc.and_not(looks, codes).cast(pa.int8())
    return bool(pc.mean(otherwise).as_py() > 0.5) and len(present.unique()) > DIFFERENT_STRAYS


def _group(name: str, holds: str, distinct: int, rows: int) -> Column:
    each = f"{rows / distinct:.1f} rows each"
    why = f"a group by its name, {each}: they stay in one split, and the model does not see it"
    return Column(name, "group", holds, why, check=True)


def _time(name: str, texts: Sequence[str], time: TimeFormat, gaps: str) -> Column:
    ordered = sorted(texts, key=lambda text: read_time(text, time.pattern))
    holds = f"{_short(ordered[0])} to {_short(ordered[-1])}{gaps}"
    if NAME_OF_TIME.search(name) and not NAME_OF_BIRTH.search(name) and not gaps:
        why = "rows are split in its order, the latest are production; the model does not see it"
        if time.ambiguous:
            why += "; day and month could be the other way round"
        return Column(name, "time", holds, why, check=True, time=time)
    why = "a time, of which nothing can be learnt as it is; make a number of it, such as an age"
    return Column(name, "left out", holds, why, check=True)


def _is_number(present: pa.ChunkedArray, decimal: str) -> bool:
    if pa.types.is_floating(present.type):
        return True
    if pc.any(pc.match_substring_regex(present, r"^[+-]?0\d")).as_py():  # a code
        return False
    return len(try_numbers(present, decimal)[1]) == 0


def _length(present: pa.ChunkedArray) -> tuple[float, float]:
    """Words and characters of a value, on average."""
    words = pc.mean(pc.add(pc.count_substring_regex(present, r"\s+"), 1)).as_py()
    return words, pc.mean(pc.utf8_length(present)).as_py()


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 24 else text[:23] + "…"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.4g}"
