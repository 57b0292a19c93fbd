"""Windows of the log as Parquet files, for whoever wants to look at them with other tools."""

from pathlib import Path

import pyarrow.parquet as pq
from sqlalchemy import Engine

from closedloop.files import atomic
from closedloop.prediction_log.reading import SCHEMA, batches


def export(engine: Engine, task: str, start: int, end: int, path: Path) -> int:
    """Write the predictions of [start, end) with their labels, whole or not at all; return how many there are.

    The columns are those of `reading.window`; memory stays bounded. Raises LogError.
    """
    rows = 0
    with atomic(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for batch in batches(engine, task, start, end):
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows
