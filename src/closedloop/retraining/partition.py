"""Labelled predictions of the log -> a partition of the raw data, and the log's notes on what became of each label."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Engine, bindparam, update

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, PART, labels
from closedloop.data.partitions import Partition, built_file, find, read_list, read_partition, write_list
from closedloop.errors import DataError
from closedloop.files import read_json, write_bytes, write_json
from closedloop.paths import Paths
from closedloop.prediction_log.clock import to_text
from closedloop.prediction_log.reading import labelled as read_labelled
from closedloop.prediction_log.schema import KNOWN, LABELS, QUARANTINED
from closedloop.prediction_log.store import in_turns, translated, writing
from closedloop.retraining.refusal import refusal
from closedloop.retraining.screening import Screened, contradicted, screen
from closedloop.targets import of_task
from closedloop.targets.strata import bars
from closedloop.tasks import get_task

CHUNK = 1000  # labels of one transaction: the server writes between them


@dataclass(frozen=True)
class Built:
    """A partition whose file is written, and what became of the labels; nothing refers to it yet."""

    partition: Partition
    counts: dict[str, Any]

    @property
    def summary(self) -> str:
        counts, sure = self.counts, self.counts["confident"]
        others = {
            "of content that the data hold already": counts["known"],
            "copies": counts["duplicates"],
            "without their input": counts["without_input"],
            "quarantined": sum(counts["quarantined"].values()),
        }
        rest = "".join(f", {count:,} {words}" for words, count in others.items() if count)
        where = f" (see {counts['quarantine']})" if counts["quarantine"] else ""
        return (
            f"partition {self.partition.sha256[:8]}: {counts['used']:,} new examples from {counts['labels']:,} labels"
            f"{rest}{where}; {sure['contradicted']:,} contradict one of the {sure['answers']:,} answers given with "
            "great confidence"
        )


def build(params: Params, paths: Paths, engine: Engine, *, believed: bool = False) -> Built:
    """Write a partition of all unused labels that can be learnt from; the same labels give the same file.

    Labels of a partition that has left the list count as unused. A partition that is listed, but whose labels are not
    marked yet, was being added when somebody was killed: it is returned again. What cannot be learnt from is written
    to data/<task>/quarantine with the reasons; labels of content that the data hold already are marked so in the log.
    `believed`: a person vouches for labels that contradict what the model was sure of.

    Raises DataError when so many labels are bad that the batch is taken for poisoned, or too few are left: what cannot
    be learnt from is marked so then, else it would spoil the next batch as well. Raises LogError when the log fails.
    """
    name, listed = params.task.name, read_list(paths.partitions)
    release(engine, name, listed)
    labelled = read_labelled(engine, name)
    if listed and (pending := _pending(paths, listed[-1], labelled)):
        return pending
    task = get_task(params.task.kind)
    data = _data(params, paths, listed)
    screened = screen(labelled, data, task.load_preprocessor(paths.preprocessor), task, params)
    _mark(engine, name, dict.fromkeys(screened.known, KNOWN))
    counts = _counts(labelled, screened, params)
    if screened.quarantined:
        counts["quarantine"] = _write_quarantine(paths, screened)
    if reason := refusal(counts, params.retraining, believed=believed):
        _mark(engine, name, dict.fromkeys(screened.unusable, QUARANTINED))
        raise DataError(reason)
    return _write(params, paths, labelled, screened, counts)


def append(paths: Paths, partition: Partition) -> None:
    """Put a partition at the end of the list, unless it is there: the next run of the pipeline learns from it."""
    listed = read_list(paths.partitions)
    if partition not in listed:
        write_list(paths.partitions, [*listed, partition])


def remove(paths: Paths, partition: Partition) -> None:
    """Take a partition off the list; its labels count as unused again from the next `build` on."""
    write_list(paths.partitions, [entry for entry in read_list(paths.partitions) if entry.sha256 != partition.sha256])


def mark_used(paths: Paths, engine: Engine, partition: Partition) -> None:
    """Note in the log what became of each label that the partition was built from; to be called when it is listed.

    Raises DataError when this is not the machine that built it, LogError when the log fails.
    """
    record = read_json(_record(paths, partition))
    marks = dict.fromkeys(record["used"], partition.sha256) | dict.fromkeys(record["quarantined"], QUARANTINED)
    _mark(engine, paths.task, marks)


def release(engine: Engine, task: str, listed: Iterable[Partition]) -> None:
    """Count the labels of partitions that are not on the list as unused: the list in git is what counts."""
    kept = [QUARANTINED, KNOWN, *(entry.sha256 for entry in listed)]
    lost = update(LABELS).where(LABELS.c.task == task, LABELS.c.partition.is_not(None))
    with translated(str(engine.url)), writing(engine) as connection:
        connection.execute(lost.where(LABELS.c.partition.not_in(kept)).values(partition=None))


def _mark(engine: Engine, task: str, marks: dict[str, str]) -> None:
    statement = update(LABELS).where(LABELS.c.prediction_id == bindparam("key"), LABELS.c.task == task)
    rows = [{"key": key, "mark": mark} for key, mark in sorted(marks.items())]
    with translated(str(engine.url)):
        for chunk in in_turns(engine, rows, CHUNK):
            with writing(engine) as connection:
                connection.execute(statement.values(partition=bindparam("mark")), list(chunk))


def _pending(paths: Paths, newest: Partition, labelled: pa.Table) -> Built | None:
    file = _record(paths, newest)
    if not file.is_file():
        return None
    record = read_json(file)
    unused = set(labelled.column("id").to_pylist())
    return Built(newest, record["counts"]) if unused & set(record["used"]) else None


def _data(params: Params, paths: Paths, listed: Sequence[Partition]) -> pa.Table:
    """The raw data with every listed partition, also those that the acquire stage has not fetched yet."""
    task = get_task(params.task.kind)
    tables = [task.read(paths.raw, params)]
    for entry in listed:
        file = find(paths, entry)
        if file is None:
            raise DataError(
                f"the file of the partition {entry.sha256} is missing: run `make run`, which says how to get it"
            )
        tables.append(read_partition(file, entry, tables[0].schema, takes_missing=task.takes_missing))
    return pa.concat_tables(tables)


def _counts(labelled: pa.Table, screened: Screened, params: Params) -> dict[str, Any]:
    return {
        "labels": labelled.num_rows,
        "used": screened.examples.num_rows,
        "duplicates": len(screened.copies),
        "known": len(screened.known),
        "without_input": len(screened.without_input),
        "quarantined": dict(sorted(Counter(screened.quarantined.values()).items())),
        "quarantine": None,
        "classes": _by_label(screened.examples, params),
        "confident": contradicted(labelled, screened.examples, of_task(params.task)),
    }


def _by_label(examples: pa.Table, params: Params) -> dict[str, int]:
    """How many there are of each class, or in each range of numbers."""
    if params.task.target == "classes":
        return dict(sorted(Counter(labels(examples)).items()))
    return bars(params.task, labels(examples), [True] * examples.num_rows).counts()


def _write_quarantine(paths: Paths, screened: Screened) -> str:
    content = [{"id": name, "reason": reason} for name, reason in screened.quarantined.items()]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
    file = paths.quarantine / f"{digest}.json"
    write_json(file, content)
    return file.relative_to(paths.root).as_posix()


def _write(params: Params, paths: Paths, labelled: pa.Table, screened: Screened, counts: dict[str, Any]) -> Built:
    """The partition's file, and beside it a record of the labels that went into it."""
    examples = screened.examples
    content = _parquet(examples)
    origins = labelled.filter(pc.is_in(labelled.column("id"), value_set=examples.column(ID).combine_chunks()))
    times = pc.min_max(origins.column("time")).as_py()
    partition = Partition(
        sha256=hashlib.sha256(content).hexdigest(),
        examples=examples.num_rows,
        first=to_text(times["min"]),
        last=to_text(times["max"]),
        versions=sorted(set(origins.column("version").to_pylist())),
        source=f"the prediction log of {params.task.name}",
    )
    used = [*examples.column(ID).to_pylist(), *screened.copies]
    record = {"partition": asdict(partition), "counts": counts, "used": used, "quarantined": screened.unusable}
    write_json(_record(paths, partition), record)
    write_bytes(built_file(paths, partition), content)
    return Built(partition, counts)


def _parquet(examples: pa.Table) -> bytes:
    """The same bytes for the same examples; the ids are those of the predictions, for who wants to look them up."""
    others = [name for name in examples.column_names if name not in (ID, LABEL)]
    part = pa.array(["feedback"] * examples.num_rows, pa.string())
    table = pa.table(
        {
            ID: examples.column(ID),
            PART: part,
            **{name: examples.column(name) for name in others},
            LABEL: examples.column(LABEL),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table.combine_chunks(), buffer, compression="zstd")
    return buffer.getvalue()


def _record(paths: Paths, partition: Partition) -> Any:
    return built_file(paths, partition).with_suffix(".json")
