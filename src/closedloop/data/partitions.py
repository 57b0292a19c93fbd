"""Partitions of labelled feedback: Parquet files named by their content, listed in the order in which they came."""

import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.data.examples import ID, LABEL, PART, UNASKED
from closedloop.errors import DataError
from closedloop.files import atomic, read_json, sha256, write_json
from closedloop.paths import Paths

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "feedback-"  # of the part's name; the official parts are called all, train and test
LISTED = "partitions.json"  # in the raw folder: which of its files are partitions, the earliest first


@dataclass(frozen=True)
class Partition:
    """One entry of partitions/<task>.json."""

    sha256: str
    examples: int
    first: str  # time of the earliest prediction in it, UTC
    last: str
    versions: list[int]  # the model versions whose predictions were labelled
    source: str

    @property
    def name(self) -> str:
        """The name of the part that it is in the raw data."""
        return PREFIX + self.sha256[:8]

    @property
    def file_name(self) -> str:
        return f"{self.name}.parquet"


def is_feedback(part: str) -> bool:
    return part.startswith(PREFIX)


def official(parts: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Which of the parts (N,) come from the source itself."""
    names, name = np.unique(parts, return_inverse=True)
    known: NDArray[np.bool_] = np.array([not is_feedback(part) for part in names.tolist()], bool)[name]
    return known


def read_list(file: Path) -> list[Partition]:
    """The listed partitions, the earliest first; none where there is no list.

    Raises DataError when the list is damaged, or two partitions in it would have the same name.
    """
    if not file.is_file():
        return []
    content = read_json(file)
    try:
        found = [Partition(**entry) for entry in content]
        for entry in found:
            _check(entry)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{file} is no list of partitions ({error}); an entry has {', '.join(f.name for f in fields(Partition))}. "
            "Take the last good list from git: `git checkout -- partitions`"
        ) from None
    repeated = sorted({entry.name for entry in found if sum(other.name == entry.name for other in found) > 1})
    if repeated:
        raise DataError(f"{file} lists {', '.join(repeated)} twice; keep one entry of each")
    return found


def _check(entry: Partition) -> None:
    if not (isinstance(entry.sha256, str) and len(entry.sha256) == 64 and set(entry.sha256) <= set("0123456789abcdef")):
        raise ValueError(f"sha256 is {str(entry.sha256)[:70]!r}")
    if not isinstance(entry.examples, int) or entry.examples < 1:
        raise ValueError(f"examples of {entry.sha256[:8]} is {entry.examples!r}")


def write_list(file: Path, partitions: Iterable[Partition]) -> None:
    """Write the list atomically; without partitions the file goes, as if there had never been one."""
    entries = [asdict(partition) for partition in partitions]
    if entries:
        write_json(file, entries)
    else:
        file.unlink(missing_ok=True)


def built_file(paths: Paths, partition: Partition) -> Path:
    """Where the partition lies on the machine that built it."""
    return paths.feedback / f"{partition.sha256}.parquet"


def find(paths: Paths, partition: Partition) -> Path | None:
    """A file that holds the partition: in the raw folder, or where it was built; None when neither has its checksum."""
    files = (paths.raw / partition.file_name, built_file(paths, partition))
    return next((file for file in files if file.is_file() and sha256(file) == partition.sha256), None)


def supply(paths: Paths, partition: Partition) -> Path | None:
    """The partition's file in the raw folder, copied there from where it was built; None when neither is there."""
    found, target = find(paths, partition), paths.raw / partition.file_name
    if found is not None and found != target:
        with atomic(target) as temporary:
            shutil.copyfile(found, temporary)
    return found and target


def read_partition(file: Path, partition: Partition, schema: "pa.Schema", *, takes_missing: bool = False) -> "pa.Table":
    """The examples of a partition with the columns of the official parts (`schema`), under its own part and ids.

    `takes_missing`: whether the content may have nulls.

    Raises DataError when the file is missing or damaged, or its columns differ: it names the column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{file} cannot be read ({error}); run the acquire stage") from None
    _require_columns(
        file,
        table,
        schema,
        (ID, PART, LABEL) if takes_missing else [name for name in schema.names if name not in UNASKED],
    )
    if table.num_rows != partition.examples:
        raise DataError(f"{file} holds {table.num_rows} examples, {partition.examples} are listed; acquire it again")
    columns: dict[str, Any] = {
        ID: pa.array([f"{partition.name}-{row:06d}" for row in range(table.num_rows)], pa.string()),
        PART: pa.array([partition.name] * table.num_rows, pa.string()),
    }
    for name in UNASKED:
        if name in schema.names and name not in table.column_names:
            columns[name] = pa.nulls(table.num_rows, schema.field(name).type)
    for field in schema:
        if field.name not in columns:
            columns[field.name] = _cast(file, table, field)
    return pa.table({name: columns[name] for name in schema.names})


def _require_columns(file: Path, table: "pa.Table", schema: "pa.Schema", required: Iterable[str]) -> None:
    missing = sorted(set(schema.names) - set(table.column_names) - set(UNASKED))
    unknown = sorted(set(table.column_names) - set(schema.names))
    if missing or unknown:
        wrong = [f"lacks {', '.join(missing)}"] if missing else []
        wrong += [f"has {', '.join(unknown)} besides"] if unknown else []
        raise DataError(f"{file} {' and '.join(wrong)}: it is no partition of these data (columns: {schema.names})")
    for name in required:
        if table.column(name).null_count:
            raise DataError(f"{file}: column {name} is null in {table.column(name).null_count} rows")


def _cast(file: Path, table: "pa.Table", field: "pa.Field") -> "pa.ChunkedArray":
    import pyarrow as pa

    column = table.column(field.name)
    try:
        return column.cast(field.type)  # the same, or a wider type where official values are out of range
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise DataError(
            f"{file}: column {field.name} is {column.type}, the official parts have {field.type}: the partition was "
            "built for other data; take it out of partitions/"
        ) from None


def newest_test_rows(test_examples: "pa.Table") -> "pa.Table | None":
    """The test examples of the newest partition that has any; None without partitions.

    Partitions stand in the examples in the order in which they came.
    """
    import pyarrow as pa

    if PART not in test_examples.column_names:
        return None
    parts = [str(part) for part in test_examples.column(PART).to_pylist()]
    newest = next((part for part in reversed(parts) if is_feedback(part)), None)
    if newest is None:
        return None
    return test_examples.filter(pa.array([part == newest for part in parts]))
