"""The raw data of a task as one table: the source's official parts, then the partitions of labelled feedback."""

from pathlib import Path

import pyarrow as pa

from closedloop.config import Params
from closedloop.data.examples import PART, texts
from closedloop.data.partitions import LISTED, is_feedback, read_list, read_partition
from closedloop.tasks import get_task


def read_raw(raw: Path, params: Params) -> pa.Table:
    """All examples in a raw folder with the columns id, part, label and the request's own, the earliest part first.

    Raises DataError when a file is missing or damaged, or a partition's columns are not those of the official parts.
    """
    task = get_task(params.task.kind)
    official = task.read(raw, params)
    later = [
        read_partition(raw / partition.file_name, partition, official.schema, takes_missing=task.takes_missing)
        for partition in read_list(raw / LISTED)
    ]
    return pa.concat_tables([official, *later])


def feedback_parts(examples: pa.Table) -> list[str]:
    """The names of the partitions among the parts of a table, in the order in which they stand there."""
    return [part for part in dict.fromkeys(texts(examples.column(PART))) if is_feedback(part)]
