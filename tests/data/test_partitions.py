"""Partitions of labelled feedback beside official parts that know more of a row than a request tells."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from closedloop.data.examples import GROUP, TIME
from closedloop.data.partitions import Partition, read_partition


def test_group_and_time_are_unknown_of_what_a_request_has_brought(tmp_path: Path) -> None:
    official = pa.schema({**dict.fromkeys(("id", "part", "text", "label", GROUP), pa.string()), TIME: pa.float64()})
    pq.write_table(
        pa.table({"id": ["a"], "part": ["x"], "text": ["hello"], "label": ["ham"]}), tmp_path / "new.parquet"
    )
    partition = Partition("0" * 64, 1, "2026-01-01", "2026-01-02", [1], "log")
    table = read_partition(tmp_path / "new.parquet", partition, official)
    assert table.schema.equals(official)
    assert table.select([GROUP, TIME]).to_pylist() == [{GROUP: None, TIME: None}]
