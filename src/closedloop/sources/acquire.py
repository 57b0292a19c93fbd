"""A source and the listed partitions -> the raw files of a task, and the manifest: where each came from."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from closedloop.config import Params, RemoteFile, Source
from closedloop.data.partitions import LISTED, Partition, built_file, read_list, supply, write_list
from closedloop.errors import DataError, SourceError
from closedloop.files import read_json, sha256, write_json
from closedloop.paths import Paths
from closedloop.sources.download import fetch
from closedloop.sources.embedded import write_embedded
from closedloop.sources.mirror import VARIABLE, mirror
from closedloop.sources.transport import is_local, public

Entry = dict[str, Any]


def acquire(params: Params, paths: Paths) -> list[Entry]:
    """Make data/<task>/raw hold exactly the files of the source, and the partitions of labelled feedback that are
    listed; write and return the manifest, one entry a file.

    A file that is there with the right checksum is kept. Raises SourceError when a file cannot be had as configured,
    or another run is at work on the same task.
    """
    source, partitions = params.source, read_list(paths.partitions)
    with _alone(paths):
        _sweep(paths.raw, _names(source) | _partition_names(partitions))
        manifest = paths.report("manifest.json")
        if source.kind == "embedded":
            entries = _embedded(source, paths.raw)
        else:
            known = _read_manifest(manifest)
            for file in source.files:
                known[file.name] = _kept(file, source, paths.raw, known) or _fetched(file, source, paths.raw)
                write_json(manifest, list(known.values()))  # a run killed later still knows where this one came from
            entries = [known[file.name] for file in source.files]
        entries += [_supplied(partition, source, paths) for partition in partitions]
        write_list(paths.raw / LISTED, partitions)
        write_json(manifest, entries)
        return entries


def _names(source: Source) -> set[str]:
    if source.kind == "embedded":
        return {name for part in source.format.parts for name in part.files}
    return {file.name for file in source.files}


def _partition_names(partitions: list[Partition]) -> set[str]:
    return {partition.file_name for partition in partitions} | ({LISTED} if partitions else set())


def _supplied(partition: Partition, source: Source, paths: Paths) -> Entry:
    file = supply(paths, partition)
    if file is None:
        raise SourceError(
            f"{paths.partitions} lists the partition {partition.sha256}, and neither {paths.raw / partition.file_name} "
            f"nor {built_file(paths, partition)} holds it. Fetch it from where DVC keeps it: `dvc pull {paths.raw}`. "
            "Where that has it no more, take its entry out of the list and build from the prediction log again: "
            "`make retrain`"
        )
    origin = f"labelled predictions of version {', '.join(map(str, partition.versions))}, {partition.source}"
    entry = _entry(file, source, paths.partitions.relative_to(paths.root).as_posix(), origin, partition.sha256)
    return entry | {"retrieved_at": partition.last}  # the same on every machine, as the manifest is kept in git


def _embedded(source: Source, raw: Path) -> list[Entry]:
    origin = write_embedded(raw, source.format)
    return [_entry(raw / name, source, source.homepage, origin, sha256(raw / name)) for name in sorted(_names(source))]


def _kept(file: RemoteFile, source: Source, raw: Path, known: dict[str, Entry]) -> Entry | None:
    """The manifest's entry of a file that is there and right, or None; its origin is None when no manifest tells it."""
    path = raw / file.name
    if not path.is_file() or sha256(path) != file.sha256:
        return None
    entry = _entry(path, source, file.url, None, file.sha256)
    earlier = known.get(file.name, {})
    if earlier.get("sha256") == file.sha256:
        entry |= {key: earlier[key] for key in ("retrieved_from", "retrieved_at")}
    return entry


def _read_manifest(path: Path) -> dict[str, Entry]:
    try:
        return {entry["name"]: entry for entry in read_json(path)} if path.is_file() else {}
    except (DataError, TypeError, KeyError):
        raise SourceError(f"{path} is not a manifest; delete it and run again") from None


def _fetched(file: RemoteFile, source: Source, raw: Path) -> Entry:
    place = mirror()
    fetched = fetch(file, raw / file.name, source, place)
    origin = fetched.url
    if place and "://" not in place and not is_local(file.url):
        # the manifest is kept in git: where this machine has its mirror is nobody else's business
        origin = f"${VARIABLE}/{Path(origin).relative_to(Path(place).expanduser()).as_posix()}"
    return _entry(raw / file.name, source, file.url, origin, file.sha256)


def _entry(path: Path, source: Source, published: str, retrieved_from: str | None, digest: str) -> Entry:
    status = path.stat()
    return {
        "name": path.name,
        "published_at": public(published),
        "retrieved_from": retrieved_from,
        "retrieved_at": datetime.fromtimestamp(int(status.st_mtime), UTC).isoformat(),
        "bytes": status.st_size,
        "sha256": digest,
        "licence": source.licence,
        "homepage": source.homepage,
    }


def _sweep(raw: Path, wanted: set[str]) -> None:
    """Remove what an earlier configuration or a killed run has left."""
    for path in raw.iterdir() if raw.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in wanted:
            path.unlink()


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    paths.data.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(paths.data / ".acquire.lock", timeout=0):  # the system lets go of it when a process is killed
            yield
    except Timeout:
        raise SourceError(f"another run is filling {paths.raw}; wait for it to end, then run again") from None
