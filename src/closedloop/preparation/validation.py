"""Checks on raw data, so that broken data stop the pipeline before anything is learnt from them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, PART
from closedloop.errors import DataError
from closedloop.tasks.base import Finding, Task

NAMED = 10  # offending examples that a finding names
Strings = NDArray[np.str_]


@dataclass(frozen=True)
class ValidationResult:
    """The outcome of all checks; `counts` holds examples by part and class."""

    findings: tuple[Finding, ...]
    counts: dict[str, dict[str, int]]

    @property
    def failed(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.passed]

    @property
    def passed(self) -> bool:
        return not self.failed

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "failed": [finding.check for finding in self.failed],
            "examples": sum(sum(classes.values()) for classes in self.counts.values()),
            "parts": {
                part: {"examples": sum(classes.values()), "classes": classes} for part, classes in self.counts.items()
            },
            "findings": [asdict(finding) for finding in self.findings],
        }

    def raise_if_failed(self, raw: str, report: str) -> None:
        """Raise DataError that names every failed check with its examples, and where the report is."""
        if self.passed:
            return
        lines = [f"{raw} failed {len(self.failed)} of {len(self.findings)} checks:"]
        for finding in self.failed:
            lines.append(f"  - {finding.check}: {finding.found}; allowed: {finding.allowed}")
            if finding.examples:
                lines.append(f"    {', '.join(finding.examples)}")
        lines.append(f"See {report}. Mend the data, or change the limits named above in conf/ if they are meant so.")
        raise DataError("\n".join(lines))


def unreadable(error: DataError) -> ValidationResult:
    """The result for raw files that cannot be read at all."""
    return ValidationResult((Finding("readable files", False, str(error), "whole files in the task's format"),), {})


def validate(examples: pa.Table, task: Task, params: Params) -> ValidationResult:
    """Run every check on a table of raw examples; checks that need sound columns are left out when they are not."""
    schema = [_columns(examples)]
    if not schema[0].passed:
        return ValidationResult(tuple(schema), {})
    ids, parts, labels = (_strings(examples, name) for name in (ID, PART, LABEL))
    counts = _counts(parts, labels, params)
    findings = [
        *schema,
        _distinct_ids(ids),
        _enough(counts, params),
        _parts(counts),
        _known_labels(ids, labels, params),
    ]
    if len(examples):
        contents = task.fingerprints(examples)
        findings += [
            _occurring(counts, params),
            _balance(counts, params),
            _duplicates(ids, parts, contents, params),
            _leaks(ids, parts, contents, params),
            _conflicts(ids, labels, contents, params),
            *task.examine(examples, params),
        ]
    return ValidationResult(tuple(findings), counts)


def _columns(examples: pa.Table) -> Finding:
    wrong = []
    for name in (ID, PART, LABEL):
        if name not in examples.column_names:
            wrong.append(f"{name} is missing")
        elif not pa.types.is_string(examples.schema.field(name).type):
            wrong.append(f"{name} is {examples.schema.field(name).type}")
    if len(set(examples.column_names)) <= len({ID, PART, LABEL} & set(examples.column_names)):
        wrong.append("there is no column of content")
    rows: list[int] = []
    for name in examples.column_names:
        if examples.column(name).null_count:
            empty = np.flatnonzero(examples.column(name).is_null().to_numpy())
            wrong.append(f"{name} is null in {len(empty)} rows, the first is row {empty[0]}")
            rows += empty.tolist()
    return Finding(
        check="columns",
        passed=not wrong,
        found="; ".join(wrong) or f"{', '.join(examples.column_names)}; no nulls",
        allowed="id, part and label as text, content beside them, no nulls",
        examples=tuple(f"row {row}" for row in sorted(set(rows))[:NAMED]),
    )


def _strings(examples: pa.Table, name: str) -> Strings:
    return np.array(examples.column(name).to_pylist(), dtype=np.str_)


def _counts(parts: Strings, labels: Strings, params: Params) -> dict[str, dict[str, int]]:
    """Examples by part and class: the configured parts and classes first, in their order, also where there are none."""
    seen = Counter(zip(parts.tolist(), labels.tolist(), strict=True))
    configured = [part.split for part in params.source.parts]
    names = [*configured, *sorted(set(parts.tolist()) - set(configured))]
    classes = [*params.task.classes, *sorted(set(labels.tolist()) - set(params.task.classes))]
    known = set(params.task.classes)
    return {part: {name: seen[part, name] for name in classes if name in known or seen[part, name]} for part in names}


def _distinct_ids(ids: Strings) -> Finding:
    repeated = _repetitions(ids)
    return Finding(
        "ids", not len(repeated), f"{len(repeated)} of {len(ids)} are repeated", "distinct ids", _named(ids[repeated])
    )


def _enough(counts: dict[str, dict[str, int]], params: Params) -> Finding:
    total = sum(sum(classes.values()) for classes in counts.values())
    needed = params.validation.min_examples
    return Finding("examples", total >= needed, f"{total} in all", f"at least {needed} (validation.min_examples)")


def _parts(counts: dict[str, dict[str, int]]) -> Finding:
    sizes = {part: sum(classes.values()) for part, classes in counts.items()}
    found = ", ".join(f"{part}: {size}" for part, size in sizes.items())
    return Finding("parts", all(sizes.values()), found, "examples in every part of source.parts")


def _known_labels(ids: Strings, labels: Strings, params: Params) -> Finding:
    unknown = ~np.isin(labels, params.task.classes)
    limit = params.validation.max_unknown_label_share
    names = sorted(set(labels[unknown].tolist()))
    found = f"{unknown.sum()} of {len(labels)} are none of the classes" + (f": {_listed(names)}" if names else "")
    return Finding(
        check="labels",
        passed=bool(unknown.sum() <= limit * len(labels)),
        found=found,
        allowed=f"{_listed(params.task.classes)} (task.classes); others at most a share of {limit} "
        "(validation.max_unknown_label_share)",
        examples=_named(ids[unknown]),
    )


def _occurring(counts: dict[str, dict[str, int]], params: Params) -> Finding:
    """Every class often enough where the training split comes from, and at least once in an official test part."""
    needed = params.validation.min_examples_per_class
    rare = []
    for part, classes in counts.items():
        least = 1 if part == "test" else needed
        few = [f"{name!r} {classes[name]}" for name in params.task.classes if classes[name] < least]
        if few and sum(classes.values()):  # an empty part is reported as such
            present = [name for name in params.task.classes if classes[name]]
            only = f", only {present[0]!r} occurs" if len(present) == 1 else ""
            rare.append(f"{part}: {_listed(few)}{only}")
    lowest = min(classes[name] for classes in counts.values() for name in params.task.classes)
    return Finding(
        check="examples of each class",
        passed=not rare,
        found=f"too few: {'; '.join(rare)}" if rare else f"at least {lowest} in every part",
        allowed=f"at least {needed} (validation.min_examples_per_class), 1 in an official test part",
    )


def _balance(counts: dict[str, dict[str, int]], params: Params) -> Finding:
    limit = params.validation.max_class_ratio
    ratios = {}
    for part, classes in counts.items():
        present = [classes[name] for name in params.task.classes if classes[name]]
        if present:
            ratios[part] = max(present) / min(present)
    found = ", ".join(f"{part}: {ratio:.2f}" for part, ratio in ratios.items())
    return Finding(
        check="class balance",
        passed=all(ratio <= limit for ratio in ratios.values()),
        found=f"most frequent class over the rarest: {found}",
        allowed=f"at most {limit:g} in each part (validation.max_class_ratio)",
    )


def _duplicates(ids: Strings, parts: Strings, contents: NDArray[np.uint64], params: Params) -> Finding:
    limit = params.validation.max_duplicate_share
    found, offenders, passed = [], [], True
    for part in sorted(set(parts.tolist())):
        rows = np.flatnonzero(parts == part)
        copies = rows[_repetitions(contents[rows])]
        passed &= len(copies) <= limit * len(rows)
        found.append(f"{part}: {len(copies)} of {len(rows)}")
        offenders += ids[copies].tolist()
    return Finding(
        check="duplicates",
        passed=passed,
        found=f"further copies of an example, {', '.join(found)}",
        allowed=f"a share of at most {limit} of each part (validation.max_duplicate_share)",
        examples=_named(offenders),
    )


def _leaks(ids: Strings, parts: Strings, contents: NDArray[np.uint64], params: Params) -> Finding:
    limit = params.validation.max_leaked_share
    official = parts == "test"
    leaked = official & np.isin(contents, contents[~official])
    return Finding(
        check="leaks",
        passed=bool(leaked.sum() <= limit * official.sum()),
        found=f"{leaked.sum()} of {official.sum()} test examples stand in another part as well"
        if official.any()
        else "no official test part",
        allowed=f"a share of at most {limit} (validation.max_leaked_share)",
        examples=_named(ids[leaked]),
    )


def _conflicts(ids: Strings, labels: Strings, contents: NDArray[np.uint64], params: Params) -> Finding:
    limit = params.validation.max_conflicting_share
    _, group = np.unique(contents, return_inverse=True)
    _, name = np.unique(labels, return_inverse=True)
    pairs = np.unique(np.stack([group, name], axis=1), axis=0)  # distinct (content, label)
    conflicting = np.bincount(pairs[:, 0])[group] > 1
    order = np.argsort(group[conflicting], kind="stable")  # copies side by side
    return Finding(
        check="conflicting labels",
        passed=bool(conflicting.sum() <= limit * len(ids)),
        found=f"{conflicting.sum()} of {len(ids)} examples have copies with another label",
        allowed=f"a share of at most {limit} (validation.max_conflicting_share)",
        examples=_named(ids[conflicting][order]),
    )


def _repetitions(values: NDArray[Any]) -> NDArray[np.intp]:
    """Indices of all occurrences of a value but its first, in order."""
    _, first = np.unique(values, return_index=True)
    return np.setdiff1d(np.arange(len(values)), first)


def _named(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(name) for name, _ in zip(ids, range(NAMED), strict=False))


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest
