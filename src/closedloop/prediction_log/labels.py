"""True labels that come back by prediction id, at once or weeks later."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, case, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from closedloop.errors import DataError
from closedloop.prediction_log.clock import now
from closedloop.prediction_log.ids import is_id
from closedloop.prediction_log.schema import KNOWN, LABELS, PREDICTIONS, QUARANTINED
from closedloop.prediction_log.store import in_turns, translated, writing
from closedloop.targets import Target

CHUNK = 1000  # labels of one transaction: the server writes between them


@dataclass
class LabelOutcome:
    """What became of a batch of labels; positions count from 0 in the order in which they came."""

    accepted: int = 0  # first labels of their predictions
    unchanged: int = 0  # the log held the same label already
    revised: int = 0  # another label replaced an earlier one
    unknown: list[int] = field(default_factory=list)  # positions of ids that the log does not hold for this task
    invalid: list[int] = field(default_factory=list)  # positions of what is no label of the task: nothing was written


def add_labels(engine: Engine, task: str, pairs: Sequence[tuple[str, str]], target: Target) -> LabelOutcome:
    """Store (prediction id, label) pairs, in chunks; of several labels for one id the last counts.

    Nothing is stored when any label is none of the target; unknown ids are left out and reported. A batch that was
    cut off in the middle can be sent again: what is stored already counts as unchanged. Raises LogError.
    """
    invalid = [position for position, (_, label) in enumerate(pairs) if target.flaw(label)]
    if invalid:
        return LabelOutcome(invalid=invalid)
    last = {key: position for position, (key, _) in enumerate(pairs)}
    outcome, unknown = LabelOutcome(), {key for key in last if not is_id(key)}
    candidates = sorted(key for key in last if is_id(key))  # in one order: two batches never wait for each other
    with translated(str(engine.url)):
        for chunk in in_turns(engine, candidates, CHUNK):
            with writing(engine) as connection:
                unknown.update(_store(connection, task, {key: pairs[last[key]][1] for key in chunk}, outcome))
    if unknown:
        outcome.unknown = [position for position, (key, _) in enumerate(pairs) if key in unknown]
    return outcome


def _store(connection: Connection, task: str, labels: dict[str, str], outcome: LabelOutcome) -> set[str]:
    """Write one chunk and count what became of it; return the ids that the log does not hold."""
    found = connection.execute(
        select(PREDICTIONS.c.id, LABELS.c.label)
        .join_from(PREDICTIONS, LABELS, LABELS.c.prediction_id == PREDICTIONS.c.id, isouter=True)
        .where(PREDICTIONS.c.id.in_(list(labels)), PREDICTIONS.c.task == task)
    )
    before: dict[str, str | None] = {row.id: row.label for row in found}
    moment = now()
    changed = [
        {"prediction_id": key, "task": task, "label": labels[key], "time": moment, "revisions": 0}
        for key, label in sorted(before.items())
        if label != labels[key]
    ]
    if changed:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        statement = insert(LABELS)
        unlearnt = or_(LABELS.c.partition == QUARANTINED, LABELS.c.partition == KNOWN)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[LABELS.c.prediction_id],
                set_={
                    "label": statement.excluded.label,
                    "time": statement.excluded.time,
                    "revisions": LABELS.c.revisions + 1,
                    # what was not learnt from is looked at anew; a partition keeps what it was made of
                    "partition": case((unlearnt, None), else_=LABELS.c.partition),
                },
                where=LABELS.c.label != statement.excluded.label,
            ),
            changed,
        )
    revised = sum(label is not None and label != labels[key] for key, label in before.items())
    outcome.revised += revised
    outcome.accepted += len(changed) - revised
    outcome.unchanged += len(before) - len(changed)
    return labels.keys() - before.keys()


def count_unused(engine: Engine, task: str, listed: Sequence[str]) -> int:
    """How many labels none of the listed partitions holds, and none was put into quarantine. Raises LogError."""
    free = or_(LABELS.c.partition.is_(None), LABELS.c.partition.not_in([QUARANTINED, KNOWN, *listed]))
    unused = select(func.count()).select_from(LABELS).where(LABELS.c.task == task, free)
    with translated(str(engine.url)), engine.connect() as connection:
        return int(connection.execute(unused).scalar_one())


def load_file(engine: Engine, task: str, path: Path, target: Target) -> LabelOutcome:
    """Store the labels of a CSV file (columns id,label) or of JSON lines; positions are rows, the first one 0.

    Every row is checked before anything is stored. Raises DataError that names file, row and column, LogError when the
    log fails.
    """
    kept: dict[str, str] = {}  # one object a label: a million rows of ten classes take little memory
    pairs: list[tuple[str, str]] = []
    for where, key, label in _rows(path):
        if flaw := target.flaw(label):
            raise DataError(f"{where}, column label: {flaw}; nothing was stored")
        pairs.append((key, kept.setdefault(label, label)))
    return add_labels(engine, task, pairs, target)


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """(where it stands, id, label) of each row."""
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: labels are read from {', '.join(readers)} files; name it by what it holds")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from readers[path.suffix.lower()](path, file)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text: save it as UTF-8 and run again") from None


def _csv_rows(path: Path, file: Any) -> Iterator[tuple[str, str, str]]:
    reader = csv.reader(file, strict=True)
    try:
        header = next(reader, [])
        if sorted(header) != ["id", "label"]:
            raise DataError(f"{path}, row 1: expected the column names id,label")
        id_first = header[0] == "id"
        for row in reader:
            where = f"{path}, row {reader.line_num}"
            if len(row) != 2:
                raise DataError(f"{where}: expected 2 columns, found {len(row)}; nothing was stored")
            yield where, *((row[0], row[1]) if id_first else (row[1], row[0]))
    except csv.Error as error:
        raise DataError(f"{path}, row {reader.line_num}: not CSV ({error}); nothing was stored") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("it names a key twice")
    return content


def _json_rows(path: Path, file: Any) -> Iterator[tuple[str, str, str]]:
    number = 0
    for number, line in enumerate(file, 1):
        where = f"{path}, row {number}"
        try:
            row = json.loads(line, object_pairs_hook=_unique)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}); nothing was stored") from None
        except RecursionError:
            raise DataError(f"{where}: it nests too deeply; nothing was stored") from None
        if not isinstance(row, dict) or set(row) != {"id", "label"}:
            raise DataError(f'{where}: expected {{"id": …, "label": …}}; nothing was stored')
        for column in ("id", "label"):
            if not isinstance(row[column], str):
                raise DataError(f"{where}, column {column}: expected text; nothing was stored")
        yield where, row["id"], row["label"]
    if not number:
        raise DataError(f'{path}: it is empty; expected rows of {{"id": …, "label": …}}')
