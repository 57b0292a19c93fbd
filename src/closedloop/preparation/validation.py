"""Checks on raw data, so that broken data stop the pipeline before anything is learnt from them."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, PART, UNASKED, strings, texts
from closedloop.data.partitions import is_feedback, official
from closedloop.errors import DataError
from closedloop.preparation.copies import NAMED, Ids, Strings, conflicts, duplicates, leaks, named, news, repetitions
from closedloop.preparation.raw import feedback_parts
from closedloop.targets import Target, flawed, of_task
from closedloop.targets.number import as_numbers, is_number
from closedloop.targets.strata import Strata, bars
from closedloop.tasks.base import Finding, Task

FARTHEST = 1000
# what labels are that are none, and what they should be, where there are no classes
UNFIT = {
    "number": ("no finite numbers", "finite numbers"),
    "text": ("labels, and a text needs none", "no labels"),
    "action": ("labels, and an episode needs none", "no labels"),
}


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
    schema = [_columns(examples, task)]
    if not schema[0].passed:
        return ValidationResult(tuple(schema), {})
    ids, parts, labels = examples.column(ID), strings(examples.column(PART)), strings(examples.column(LABEL))
    target, classes = of_task(params.task), params.task.target == "classes"
    groups = bars(params.task, texts(examples.column(LABEL)), official(parts))
    counts = _counts(parts, groups, params)
    findings = [
        *schema,
        _distinct_ids(ids),
        _enough(counts, params),
        _parts(counts),
        # of images to imitate labels do not matter
        *([_known_labels(ids, labels, target, params)] if params.task.target != "image" else []),
    ]
    if len(examples):
        contents = task.fingerprints(examples)
        feedback = feedback_parts(examples)
        ours = {part: classes for part, classes in counts.items() if not is_feedback(part)}
        findings += [
            *([_occurring(ours, params), _balance(ours, params)] if classes else []),
            *([_spread(labels)] if params.task.target == "number" else []),
            duplicates(ids, parts, contents, params),
            leaks(ids, parts, contents, params),
            # alike examples differ in their numbers nearly always
            *([conflicts(ids, labels, contents, params)] if classes else []),
            *task.examine(examples, params),
            *([news(ids, parts, contents, feedback)] if feedback else []),
        ]
    return ValidationResult(tuple(findings), counts)


def _columns(examples: pa.Table, task: Task) -> Finding:
    wrong = []
    content = [name for name in examples.column_names if name not in UNASKED]
    required = (ID, PART, LABEL) if task.takes_missing else content
    for name in (ID, PART, LABEL):
        if name not in examples.column_names:
            wrong.append(f"{name} is missing")
        elif not pa.types.is_string(examples.schema.field(name).type):
            wrong.append(f"{name} is {examples.schema.field(name).type}")
    if len(set(examples.column_names)) <= len({ID, PART, LABEL} & set(examples.column_names)):
        wrong.append("there is no column of content")
    rows: list[int] = []
    for name in examples.column_names:
        if name in required and examples.column(name).null_count:
            empty = np.flatnonzero(examples.column(name).is_null().to_numpy())
            wrong.append(f"{name} is null in {len(empty)} rows, the first is row {empty[0]}")
            rows += empty.tolist()
    scope = " in id, part and label" if task.takes_missing else ""
    return Finding(
        check="columns",
        passed=not wrong,
        found="; ".join(wrong) or f"{', '.join(examples.column_names)}; no nulls{scope}",
        allowed=f"id, part and label as text, content beside them, no nulls{scope}",
        examples=tuple(f"row {row}" for row in sorted(set(rows))[:NAMED]),
    )


def _counts(parts: Strings, groups: Strata, params: Params) -> dict[str, dict[str, int]]:
    """Examples by part and group of labels: the configured parts first, in their order, also where there are none."""
    configured = params.source.format.splits
    names = [*configured, *sorted(set(np.unique(parts).tolist()) - set(configured))]
    return {part: groups.counts(parts == part) for part in names}


def _distinct_ids(ids: Ids) -> Finding:
    again = len(ids) - pc.count_distinct(ids).as_py()
    rows = repetitions(np.array(ids.to_pylist(), np.str_)) if again else np.empty(0, np.intp)
    return Finding("ids", not again, f"{again} of {len(ids)} are repeated", "distinct ids", named(ids, rows))


def _enough(counts: dict[str, dict[str, int]], params: Params) -> Finding:
    total = sum(sum(classes.values()) for part, classes in counts.items() if not is_feedback(part))
    needed = params.validation.min_examples
    return Finding("examples", total >= needed, f"{total} in all", f"at least {needed} (validation.min_examples)")


def _parts(counts: dict[str, dict[str, int]]) -> Finding:
    sizes = {part: sum(classes.values()) for part, classes in counts.items()}
    found = ", ".join(f"{part}: {size}" for part, size in sizes.items())
    return Finding("parts", all(sizes.values()), found, "examples in every part of source.format")


def _known_labels(ids: Ids, labels: Strings, target: Target, params: Params) -> Finding:
    unknown = flawed(target, labels)
    limit = params.validation.max_unknown_label_share
    names = np.unique(labels[unknown]).tolist()
    of_classes = "none of the classes", f"{_listed(params.task.classes)} (task.classes)"
    what, sound = UNFIT.get(params.task.target, of_classes)
    found = f"{unknown.sum()} of {len(labels)} are {what}" + (f": {_listed(names)}" if names else "")
    return Finding(
        check="labels",
        passed=bool(unknown.sum() <= limit * len(labels)),
        found=found,
        allowed=f"{sound}; others at most a share of {limit} (validation.max_unknown_label_share)",
        examples=named(ids, np.flatnonzero(unknown)),
    )


def _spread(labels: Strings) -> Finding:
    """Whether there is anything to learn, and whether a few labels are so far off that they outweigh all others."""
    values = as_numbers([label for label in labels.tolist() if is_number(label)])
    if not len(values) or values.min() == values.max():
        return Finding(
            "spread of the target", False, "one value only" if len(values) else "no number", "several values"
        )
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    far = np.abs(values - middle).max() / max(high - low, np.finfo(np.float64).tiny)
    found = f"from {values.min():g} to {values.max():g}, half of them from {low:g} to {high:g}"
    return Finding(
        check="spread of the target",
        passed=bool(far <= FARTHEST),
        found=found if far <= FARTHEST else f"{found}: the farthest is {far:,.0f} times that range off the middle",
        allowed=f"none farther off the middle than {FARTHEST} times the range of the inner half: such a value is "
        "mostly a mistake, and outweighs all others",
    )


def _occurring(counts: dict[str, dict[str, int]], params: Params) -> Finding:
    """Every class often enough where the training split comes from, and at least once in an official test part.

    `counts` are of the official parts: what feedback adds is as it comes.
    """
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
        found=f"too few: {'; '.join(rare)}" if rare else f"at least {lowest} in every official part",
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
        allowed=f"at most {limit:g} in each official part (validation.max_class_ratio)",
    )


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest
