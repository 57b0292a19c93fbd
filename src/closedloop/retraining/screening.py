"""Which labelled predictions can be learnt from: new content, decodable, with one label that is sure to be meant."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, labels
from closedloop.prediction_log.pseudonyms import has_pseudonyms
from closedloop.targets import Target, of_task
from closedloop.tasks.base import BadRecord, Preprocessor, Task

MOST_REVISIONS = 2  # of a label; whoever changes their mind more often does not know

OFTEN_REVISED = f"its label was revised more than {MOST_REVISIONS} times"
NO_LABEL = "its label is"  # before what is wrong with it
CONTRADICTS_DATA = "the data hold the same content under another label"
CONTRADICTS_BATCH = "the new labels give the same content different labels"
NO_JSON = "its request is no JSON object"


@dataclass(frozen=True)
class Screened:
    """What became of each labelled prediction; ids are the predictions'."""

    examples: pa.Table  # id, label and the request's own columns; distinct contents that are new
    copies: list[str]  # ids with the content and the label of one of the examples
    known: list[str]  # ids with content and label that stand in the data already
    quarantined: dict[str, str]  # id -> reason
    without_input: list[str]  # ids whose request was not kept, or not all of it

    @property
    def unusable(self) -> list[str]:
        """The ids that will never be learnt from, unless their label is corrected."""
        return [*self.quarantined, *self.without_input]


def screen(labelled: pa.Table, data: pa.Table, preprocessor: Preprocessor, task: Task, params: Params) -> Screened:
    """Sort labelled predictions (columns id, request, label, revisions) by whether they add to the data (raw examples).

    Of several predictions with the same content the first in the order of the table counts.
    """
    quarantined: dict[str, str] = {}
    target = of_task(params.task)
    without_input, candidates = [], []
    for row in labelled.select(["id", "request", "label", "revisions"]).to_pylist():
        if row["request"] is None or has_pseudonyms(row["request"]):
            without_input.append(row["id"])
        elif row["revisions"] > MOST_REVISIONS:
            quarantined[row["id"]] = OFTEN_REVISED
        elif flaw := target.flaw(row["label"]):
            quarantined[row["id"]] = f"{NO_LABEL} {flaw}"
        else:
            candidates.append(row)
    examples = _without(_decoded(candidates, preprocessor, quarantined), quarantined)
    if examples.num_rows:
        faults = _faults(examples, task, params)
        quarantined |= faults
        examples = _without(examples, faults)
    contents = task.fingerprints(examples) if examples.num_rows else np.zeros(0, np.uint64)
    names, of_data = _meant(examples, params), _labels_by_content(task.fingerprints(data), _meant(data, params))
    fresh: dict[int, list[int]] = {}  # content -> rows
    known = []
    for row, (content, label) in enumerate(zip(contents.tolist(), names, strict=True)):
        if content not in of_data:
            fresh.setdefault(content, []).append(row)
        elif label in of_data[content]:
            known.append(row)
        else:
            quarantined[_id(examples, row)] = CONTRADICTS_DATA
    agreed = {content: rows for content, rows in fresh.items() if len({names[row] for row in rows}) == 1}
    quarantined |= {
        _id(examples, row): CONTRADICTS_BATCH for content in fresh.keys() - agreed.keys() for row in fresh[content]
    }
    kept = np.zeros(examples.num_rows, bool)
    kept[[rows[0] for rows in agreed.values()]] = True
    copies = [_id(examples, row) for rows in agreed.values() for row in rows[1:]]
    return Screened(
        examples.filter(pa.array(kept)),
        sorted(copies),
        [_id(examples, row) for row in known],
        dict(sorted(quarantined.items())),
        without_input,
    )


def _meant(examples: pa.Table, params: Params) -> list[str]:
    """The labels, as far as two of them can contradict each other: alike examples may have different numbers."""
    return labels(examples) if params.task.target == "classes" else [""] * examples.num_rows


def contradicted(labelled: pa.Table, examples: pa.Table, target: Target) -> dict[str, float]:
    """How many of the examples were answered with great confidence, and how often the label says otherwise.

    A share near 0 is what labels of a good model's answers show; wrong labels en masse show a large one, and so does a
    world in which the same inputs mean something else.
    """
    used = set(examples.column(ID).to_pylist())
    rows = labelled.select(["id", "label", "prediction", "probabilities"]).to_pylist()
    judged = [
        target.contradicts(row["label"], row["prediction"], row["probabilities"]) for row in rows if row["id"] in used
    ]
    sure = [said for said in judged if said is not None]
    wrong = sum(sure)
    return {"answers": len(sure), "contradicted": wrong, "share": wrong / len(sure) if sure else 0.0}


def _decoded(rows: list[dict[str, Any]], preprocessor: Preprocessor, quarantined: dict[str, str]) -> pa.Table:
    """The requests as examples with id and label; those that cannot be decoded go into quarantine."""
    parsed = []
    for row in rows:
        try:
            parsed.append((row, json.loads(row["request"])))
        except (ValueError, RecursionError):
            quarantined[row["id"]] = NO_JSON
    records, good, tables, start = [record for _, record in parsed], [], [], 0
    while True:
        stop = len(records)
        try:
            tables.append(preprocessor.decode(records[start:]))
        except BadRecord as error:
            stop = start + error.row
            where = f", field {error.field}" if error.field else ""
            quarantined[parsed[stop][0]["id"]] = f"its request cannot be decoded{where}: {error.reason}"
            tables.append(preprocessor.decode(records[start:stop]))
        good += [row for row, _ in parsed[start:stop]]
        start = stop + 1
        if start > len(records):
            break
    table = pa.concat_tables(tables).combine_chunks()
    columns = {ID: pa.array([row["id"] for row in good], pa.string())}
    columns |= {name: table.column(name) for name in table.column_names}
    return pa.table({**columns, LABEL: pa.array([row["label"] for row in good], pa.string())})


def _faults(examples: pa.Table, task: Task, params: Params) -> dict[str, str]:
    """The examples that one of the task's own checks names, with its name; a check names a few at a time, so that each
    content is shown to it once."""
    contents = task.fingerprints(examples)
    distinct, first = np.unique(contents, return_index=True)
    left = examples.take(pa.array(np.sort(first)))
    faults: dict[str, str] = {}
    while left.num_rows:
        failed = [finding for finding in task.examine(left, params) if not finding.passed]
        named = {name: f"it fails the check {finding.check!r}" for finding in failed for name in finding.examples}
        if not named:
            break
        faults |= named
        left = _without(left, named)
    names = examples.column(ID).to_pylist()
    looked_at = {content: names[row] for content, row in zip(distinct, first, strict=True)}
    said = ((name, faults.get(looked_at[content])) for name, content in zip(names, contents, strict=True))
    return {name: fault for name, fault in said if fault}


def _without(examples: pa.Table, ids: Iterable[str]) -> pa.Table:
    unwanted = set(ids)
    return examples.filter(pa.array([name not in unwanted for name in examples.column(ID).to_pylist()], pa.bool_()))


def _labels_by_content(contents: NDArray[np.uint64], names: list[str]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for content, name in zip(contents.tolist(), names, strict=True):
        found.setdefault(content, set()).add(name)
    return found


def _id(examples: pa.Table, row: int) -> str:
    return str(examples.column(ID)[row].as_py())
