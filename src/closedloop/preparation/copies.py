"""Checks that compare contents: copies within a part, between parts, and under different labels."""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.config import Params
from closedloop.data.partitions import is_feedback
from closedloop.tasks.base import Finding

NAMED = 10  # offending examples that a finding names
Strings = NDArray[np.str_]
Ids: TypeAlias = pa.ChunkedArray  # of text: as Python's strings, millions of them would not fit
Contents = NDArray[np.uint64]  # fingerprints


def duplicates(ids: Ids, parts: Strings, contents: Contents, params: Params) -> Finding:
    """Further copies of an example within one part."""
    limit = params.validation.max_duplicate_share
    found, offenders, passed = [], [], True
    for part in np.unique(parts).tolist():
        rows = np.flatnonzero(parts == part)
        copies = rows[repetitions(contents[rows])]
        passed &= len(copies) <= limit * len(rows)
        found.append(f"{part}: {len(copies)} of {len(rows)}")
        offenders.append(copies)
    return Finding(
        check="duplicates",
        passed=passed,
        found=f"further copies of an example, {', '.join(found)}",
        allowed=f"a share of at most {limit} of each part (validation.max_duplicate_share)",
        examples=named(ids, np.concatenate(offenders)),
    )


def leaks(ids: Ids, parts: Strings, contents: Contents, params: Params) -> Finding:
    """Examples of an official test part that stand in another official part."""
    limit = params.validation.max_leaked_share
    official = parts == "test"
    others = ~official & ~_of_feedback(parts)  # a copy of a test example in a partition is left out there
    leaked = official & np.isin(contents, contents[others])
    return Finding(
        check="leaks",
        passed=bool(leaked.sum() <= limit * official.sum()),
        found=f"{leaked.sum()} of {official.sum()} test examples stand in another part as well"
        if official.any()
        else "no official test part",
        allowed=f"a share of at most {limit} (validation.max_leaked_share)",
        examples=named(ids, np.flatnonzero(leaked)),
    )


def conflicts(ids: Ids, labels: Strings, contents: Contents, params: Params) -> Finding:
    """The same content under different labels, in whatever part."""
    limit = params.validation.max_conflicting_share
    _, group = np.unique(contents, return_inverse=True)
    names, name = np.unique(labels, return_inverse=True)
    pairs = np.unique(group * len(names) + name) // len(names)  # the content of each distinct (content, label)
    conflicting = np.bincount(pairs)[group] > 1
    order = np.argsort(group[conflicting], kind="stable")  # copies side by side
    return Finding(
        check="conflicting labels",
        passed=bool(conflicting.sum() <= limit * len(ids)),
        found=f"{conflicting.sum()} of {len(ids)} examples have copies with another label",
        allowed=f"a share of at most {limit} (validation.max_conflicting_share)",
        examples=named(ids, np.flatnonzero(conflicting)[order]),
    )


def news(ids: Ids, parts: Strings, contents: Contents, feedback: list[str]) -> Finding:
    """Partitions may be small and unbalanced, but each must hold something that no earlier part has."""
    found, offenders, passed = [], [], True
    known = ~_of_feedback(parts)
    for part in feedback:
        rows = parts == part
        copies = rows & np.isin(contents, contents[known])
        passed &= bool(copies.sum() < rows.sum())
        found.append(f"{part}: {copies.sum()} of {rows.sum()}")
        offenders.append(np.flatnonzero(copies))
        known |= rows
    return Finding(
        check="partitions",
        passed=passed,
        found=f"examples that stand in an earlier part, and are left out: {', '.join(found)}",
        allowed="something new in every partition; take one without news out of partitions/",
        examples=named(ids, np.concatenate(offenders)),
    )


def _of_feedback(parts: Strings) -> NDArray[np.bool_]:
    names = [part for part in np.unique(parts).tolist() if is_feedback(part)]
    return np.isin(parts, names)


def repetitions(values: NDArray[Any]) -> NDArray[np.intp]:
    """Indices of all occurrences of a value but its first, in order."""
    _, first = np.unique(values, return_index=True)
    return np.setdiff1d(np.arange(len(values)), first)


def named(ids: Ids, rows: NDArray[np.intp]) -> tuple[str, ...]:
    """The ids of the first of the rows."""
    return tuple(ids.take(pa.array(rows[:NAMED], pa.int64())).to_pylist())
