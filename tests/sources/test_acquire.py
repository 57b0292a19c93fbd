"""acquire: the right bytes or none, whatever the publisher, the network and the disk do."""

import errno
import gzip
import hashlib
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from filelock import FileLock
from sklearn.datasets import load_digits

from closedloop.config import Params, RemoteFile, Source
from closedloop.data.idx import read_idx
from closedloop.errors import SourceError
from closedloop.files import read_json, sha256
from closedloop.paths import Paths
from closedloop.sources import transport
from closedloop.sources.acquire import acquire

IMAGES, LABELS = bytes(range(256)) * 400, b"labels" * 50
PACKED = gzip.compress(IMAGES, mtime=0)
NAMES = {"images.idx", "labels.idx"}
ROOT = Path(__file__).parents[2]


def remote(name: str, url: str, content: bytes, unpack: str = "none") -> RemoteFile:
    digest = hashlib.sha256(content).hexdigest()
    return RemoteFile.model_validate({"name": name, "url": url, "sha256": digest, "unpack": unpack})


@pytest.fixture
def project(make_project: Callable[..., Any], publisher: Any) -> Any:
    """Two files of one publisher, one of them packed, and a source that tries three times without waiting."""
    publisher.files = {"/set/images.gz": PACKED, "/set/labels": LABELS}
    made = make_project("digits")
    return with_source(
        made,
        files=[
            remote("images.idx", publisher.url("/set/images.gz"), IMAGES, "gzip"),
            remote("labels.idx", publisher.url("/set/labels"), LABELS),
        ],
    )


def with_source(project: Any, **changes: Any) -> Any:
    plain = {"kind": "download", "retries": 2, "backoff_seconds": 0.0, "timeout_seconds": 5.0}
    source = project.params.source.model_copy(update={**plain, **changes})
    params = project.params.model_copy(update={"source": Source.model_validate(source.model_dump())})
    (project.root / "params.yaml").write_text(params.model_dump_json())  # JSON is YAML
    return type(project)(project.root, params)


def with_first(project: Any, **changes: Any) -> Any:
    """The project with its first file described otherwise."""
    first, *others = project.params.source.files
    return with_source(project, files=[first.model_copy(update=changes), *others])


def found(paths: Paths) -> set[str]:
    return {path.name for path in paths.raw.iterdir()} if paths.raw.is_dir() else set()


def refused(project: Any) -> str:
    with pytest.raises(SourceError) as raised:
        acquire(project.params, project.paths)
    return str(raised.value)


def test_files_arrive_unpacked_with_a_manifest(project: Any) -> None:
    entries = acquire(project.params, project.paths)
    assert (project.paths.raw / "images.idx").read_bytes() == IMAGES
    assert (project.paths.raw / "labels.idx").read_bytes() == LABELS
    assert found(project.paths) == NAMES
    assert entries == read_json(project.paths.report("manifest.json"))
    entry, source = entries[0], project.params.source
    assert entry["published_at"] == entry["retrieved_from"] == source.files[0].url
    assert (entry["bytes"], entry["sha256"]) == (len(IMAGES), source.files[0].sha256)
    assert (entry["licence"], entry["homepage"]) == (source.licence, source.homepage)
    assert entry["retrieved_at"].endswith("+00:00")


@pytest.mark.parametrize("fault", ["503", "429", "reset", "cut", "cut-unannounced", "stall", "silent"])
def test_a_failure_that_passes_is_tried_again(project: Any, publisher: Any, fault: str) -> None:
    project = with_source(project, timeout_seconds=0.3)
    publisher.faults["/set/images.gz"] = [fault, "503"]
    acquire(project.params, project.paths)
    assert publisher.requests.count("/set/images.gz") == 3
    assert (project.paths.raw / "images.idx").read_bytes() == IMAGES
    assert found(project.paths) == NAMES


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("503", "answered HTTP status 503 (expected 200)"),
        ("reset", "cannot be read"),
        ("cut", f"cannot be read to its end ({len(PACKED)} bytes expected)"),
        ("cut-unannounced", "cut short: its gzip stream has no end"),
        ("silent", "no answer in time"),
    ],
)
def test_a_failure_that_lasts_names_the_url_and_leaves_nothing(
    project: Any, publisher: Any, fault: str, message: str
) -> None:
    project = with_source(project, timeout_seconds=0.2)
    publisher.faults["/set/images.gz"] = [fault] * 10
    said = refused(project)
    assert publisher.url("/set/images.gz") in said
    assert message in said
    assert "gave up after 3 tries" in said
    assert fault == "reset" or publisher.requests == ["/set/images.gz"] * 3  # aiohttp repeats resets itself, too
    assert found(project.paths) == set()


@pytest.mark.parametrize("status", ["401", "403", "404", "410"])
def test_a_refusal_is_not_tried_again(project: Any, publisher: Any, status: str) -> None:
    publisher.faults["/set/images.gz"] = [status]
    assert f"{publisher.url('/set/images.gz')} answered HTTP status {status}" in refused(project)
    assert publisher.requests == ["/set/images.gz"]
    assert found(project.paths) == set()


def test_altered_content_names_both_checksums_and_is_not_tried_again(project: Any, publisher: Any) -> None:
    altered = IMAGES[:-1] + b"\0"
    publisher.files["/set/images.gz"] = gzip.compress(altered)
    said = refused(project)
    assert publisher.url("/set/images.gz") in said
    assert hashlib.sha256(altered).hexdigest() in said
    assert f"({len(altered)} bytes), expected {hashlib.sha256(IMAGES).hexdigest()}" in said
    assert publisher.requests == ["/set/images.gz"]
    assert found(project.paths) == set()


def test_a_byte_altered_in_the_packed_file_is_found(project: Any, publisher: Any) -> None:
    packed = bytearray(publisher.files["/set/images.gz"])
    packed[-6] ^= 1  # in the checksum that ends a gzip file
    publisher.files["/set/images.gz"] = bytes(packed)
    assert "is not a sound gzip file" in refused(project)
    assert publisher.requests == ["/set/images.gz"]
    assert found(project.paths) == set()


def test_a_page_in_place_of_the_file_is_called_what_it_is(project: Any, publisher: Any) -> None:
    publisher.files["/set/images.gz"] = b"<!doctype html><p>please sign in"
    assert "is not a sound gzip file after" in refused(project)


def test_a_file_published_cut_short_is_not_tried_again(project: Any, publisher: Any) -> None:
    publisher.files["/set/images.gz"] = publisher.files["/set/images.gz"][:-20]
    assert "its gzip stream has no end" in refused(project)
    assert publisher.requests == ["/set/images.gz"]


def test_an_unreachable_server_is_named(project: Any, publisher: Any) -> None:
    publisher.close()
    said = refused(project)
    assert publisher.url("/set/images.gz") in said
    assert "gave up after 3 tries" in said


def test_an_unknown_protocol_is_answered_with_the_known_ones(project: Any) -> None:
    assert "unknown protocol; use a path or file, http, https, s3 or gs" in refused(
        with_first(project, url="gopher://example.org/images")
    )


@pytest.mark.parametrize(
    ("scheme", "package", "extra"), [("s3", "s3fs", "closedloop[s3]"), ("gs", "gcsfs", "closedloop[gcs]")]
)
def test_a_missing_package_is_answered_with_the_extra_to_install(
    project: Any, monkeypatch: pytest.MonkeyPatch, scheme: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert f"pip install '{extra}'" in refused(with_first(project, url=f"{scheme}://bucket/images.gz"))


def test_local_files_are_read_by_path_and_by_url(project: Any, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(IMAGES))
    for url in (str(tmp_path / "a.gz"), (tmp_path / "a.gz").as_uri()):
        local = with_first(project, url=url)
        (local.paths.raw / "images.idx").unlink(missing_ok=True)
        assert acquire(local.params, local.paths)[0]["retrieved_from"] == url
    assert "does not exist" in refused(with_first(project, url=str(tmp_path / "b.gz"), sha256="0" * 64))
    assert "is a folder, which cannot be unpacked" in refused(with_first(project, url=str(tmp_path), sha256="0" * 64))


def test_other_filesystems_of_fsspec_serve_as_well(project: Any) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/set/images.gz", gzip.compress(IMAGES))
    acquire(with_first(project, url="memory://set/images.gz").params, project.paths)
    assert (project.paths.raw / "images.idx").read_bytes() == IMAGES


def test_what_is_there_and_right_is_not_fetched_again(project: Any, publisher: Any) -> None:
    first = acquire(project.params, project.paths)
    publisher.close()
    assert acquire(project.params, project.paths) == first


def test_a_file_altered_on_disk_is_fetched_again(project: Any, publisher: Any) -> None:
    acquire(project.params, project.paths)
    (project.paths.raw / "labels.idx").write_bytes(LABELS + b"!")
    acquire(project.params, project.paths)
    assert publisher.requests.count("/set/images.gz") == 1
    assert (project.paths.raw / "labels.idx").read_bytes() == LABELS


def test_without_a_manifest_a_right_file_is_kept_and_its_origin_left_open(project: Any, publisher: Any) -> None:
    acquire(project.params, project.paths)
    project.paths.report("manifest.json").unlink()
    assert [entry["retrieved_from"] for entry in acquire(project.params, project.paths)] == [None, None]
    assert len(publisher.requests) == 2


def test_a_broken_manifest_is_named(project: Any) -> None:
    manifest = project.paths.report("manifest.json")
    manifest.parent.mkdir(parents=True)
    manifest.write_text("<<<<<<< HEAD")
    assert "manifest.json is not a manifest; delete it" in refused(project)


def test_what_the_source_does_not_name_is_removed(project: Any) -> None:
    folder = project.paths.raw / "old"
    folder.mkdir(parents=True)
    (folder / "images.idx").write_bytes(b"old")
    (project.paths.raw / "t10k.idx").write_bytes(b"old")
    (project.paths.raw / ".images.idx.4711.tmp").write_bytes(b"half")
    acquire(project.params, project.paths)
    assert found(project.paths) == NAMES


def test_a_password_in_a_url_stays_out_of_manifest_and_messages(project: Any, publisher: Any) -> None:
    secret = with_first(project, url=f"http://user:secret@{publisher.address}/set/images.gz")
    assert "secret" not in str(acquire(secret.params, secret.paths))
    (project.paths.raw / "images.idx").unlink()
    publisher.faults["/set/images.gz"] = ["404"]
    assert "secret" not in refused(secret)


def test_unpacking_takes_little_memory(project: Any, publisher: Any) -> None:
    zeros = bytes(64 << 20)
    publisher.files["/set/zeros.gz"] = gzip.compress(zeros, compresslevel=1)
    bomb = with_first(project, url=publisher.url("/set/zeros.gz"), sha256=hashlib.sha256(zeros).hexdigest())
    del zeros
    tracemalloc.start()
    acquire(bomb.params, bomb.paths)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


class FullDisk:
    """A file on a disk that is full after `room` bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self._room = file, room

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> None:
        self._file.write(content[: self._room])
        self._room -= len(content)
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("when", ["writing", "flushing"])
def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    project: Any, run_stage: Any, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    opened = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = opened(path, mode, *arguments, **options)
        return FullDisk(file, 1000) if mode == "wb" and ".images.idx." in path.name else file

    def sync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        if when == "writing":
            disk.setattr(Path, "open", full)
        else:
            disk.setattr(os, "fsync", sync)
        ended = run_stage("acquire", project)
    assert ended.code == 1
    assert "images.idx: the disk is full: free some space and run again" in ended.err
    assert found(project.paths) == set()
    assert run_stage("acquire", project).code == 0
    assert found(project.paths) == NAMES


def test_killed_halfway_and_run_again_the_result_is_the_same(project: Any, publisher: Any) -> None:
    publisher.faults["/set/labels"] = ["stall"]
    stage = subprocess.Popen([sys.executable, ROOT / "pipelines" / "acquire.py"], cwd=project.root)
    try:
        deadline = time.monotonic() + 60
        while not any(name.startswith(".labels.idx.") for name in found(project.paths)):
            assert stage.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        stage.send_signal(signal.SIGKILL)
        stage.wait()
    assert "labels.idx" not in found(project.paths)
    entries = acquire(project.params, project.paths)
    assert found(project.paths) == NAMES
    assert publisher.requests == ["/set/images.gz", "/set/labels", "/set/labels"]
    assert all(entry["retrieved_from"] == entry["published_at"] for entry in entries)


def test_a_second_run_at_the_same_time_is_refused(project: Any) -> None:
    project.paths.data.mkdir(parents=True)
    with FileLock(project.paths.data / ".acquire.lock"):
        assert "another run is filling" in refused(project)
    acquire(project.params, project.paths)


def test_embedded_digits_are_those_of_scikit_learn(make_project: Any, run_stage: Any) -> None:
    project = make_project("digits")
    (project.paths.raw / "old").mkdir(parents=True)
    assert run_stage("acquire", project).code == 0
    content = load_digits()
    np.testing.assert_array_equal(read_idx(project.paths.raw / "images.idx"), content.images)
    np.testing.assert_array_equal(read_idx(project.paths.raw / "labels.idx"), content.target)
    assert found(project.paths) == NAMES
    manifest = read_json(project.paths.report("manifest.json"))
    assert {entry["name"]: entry["sha256"] for entry in manifest} == {
        name: sha256(project.paths.raw / name) for name in NAMES
    }
    assert all("scikit-learn" in entry["retrieved_from"] for entry in manifest)


def test_public_urls_keep_all_but_user_and_password() -> None:
    assert transport.public("https://u:p@host:8/a/b.gz?x=1") == "https://host:8/a/b.gz?x=1"
    assert transport.public("/data/set@home/b.gz") == "/data/set@home/b.gz"


def parts(split: str, images: str) -> dict[str, Any]:
    part = {"split": split, "images": images, "labels": "labels.idx"}
    return {"format": {"name": "idx", "pixel_max": 16, "parts": [part]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": []}, "files are listed exactly when kind is 'download'"),
        (parts("all", "a.idx"), "do not list: a.idx; listed: images"),
        (parts("all", "labels.idx"), "name each file once"),
        (parts("all", "../a.idx"), "pattern"),
        (parts("test", "images.idx"), "not ['test']"),
    ],
)
def test_mistakes_in_a_source_are_named(project: Any, changes: dict[str, Any], message: str) -> None:
    content = Params.model_dump(project.params)["source"] | changes
    with pytest.raises(ValueError, match=r"source|Source") as raised:
        Source.model_validate(content)
    assert message in str(raised.value)
