"""The mirror serves every published file, or says that it cannot; nothing is downloaded behind its back."""

import gzip
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.config import Params, RemoteFile, Source
from closedloop.errors import SourceError
from closedloop.files import sha256
from closedloop.sources.acquire import acquire
from closedloop.sources.download import fetch
from closedloop.sources.mirror import locations

CONTENT = b"content" * 1000
PUBLISHED = "https://data.example.org/sets/mnist/images.gz"


def source(url: str) -> Source:
    file = {"name": "a.idx", "url": url, "sha256": hashlib.sha256(CONTENT).hexdigest(), "unpack": "gzip"}
    return Source.model_validate(
        {
            "kind": "download",
            "licence": "none",
            "homepage": "https://data.example.org",
            "files": [file, {**file, "name": "b.idx"}],
            "format": {
                "name": "idx",
                "parts": [{"split": "all", "images": "a.idx", "labels": "b.idx"}],
                "pixel_max": 255,
            },
            "retries": 0,
        }
    )


@pytest.fixture
def project(make_project: Any) -> Any:
    made = make_project("digits")
    return type(made)(made.root, made.params.model_copy(update={"source": source(PUBLISHED)}))


def put(path: Path, content: bytes = CONTENT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content))


@pytest.mark.parametrize("place", ["sets/mnist/images.gz", "mnist/images.gz", "images.gz"])
def test_any_tail_of_the_path_is_found(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    put(tmp_path / "mirror" / place)
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", str(tmp_path / "mirror"))
    entry = acquire(project.params, project.paths)[0]
    assert entry["retrieved_from"] == f"$CLOSEDLOOP_MIRROR/{place}"  # and not where it is on this machine
    assert entry["published_at"] == PUBLISHED


def test_the_longest_tail_wins(project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "images.gz", b"another set's images")
    put(tmp_path / "mnist" / "images.gz")
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", str(tmp_path))
    assert acquire(project.params, project.paths)[0]["retrieved_from"] == "$CLOSEDLOOP_MIRROR/mnist/images.gz"


def test_a_url_can_be_the_mirror(project: Any, publisher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.files["/pub/mnist/images.gz"] = gzip.compress(CONTENT)
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", publisher.url("/pub/"))
    entry = acquire(project.params, project.paths)[0]
    assert entry["retrieved_from"] == publisher.url("/pub/mnist/images.gz")


def test_a_broken_mirror_is_not_taken_for_one_without_the_file(
    project: Any, publisher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.faults["/sets/mnist/images.gz"] = ["500"]
    publisher.files["/images.gz"] = gzip.compress(CONTENT)
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", publisher.url(""))
    with pytest.raises(SourceError, match="HTTP status 500"):
        acquire(project.params, project.paths)


def test_what_the_mirror_lacks_is_an_error_and_not_downloaded(
    project: Any, publisher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.files["/sets/images.gz"] = gzip.compress(CONTENT)
    url = publisher.url("/sets/images.gz")
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", str(tmp_path))
    params: Params = project.params.model_copy(update={"source": source(url)})
    with pytest.raises(SourceError) as raised:
        acquire(params, project.paths)
    said = str(raised.value)
    assert url in said and str(tmp_path / "sets/images.gz") in said and "unset CLOSEDLOOP_MIRROR" in said
    assert publisher.requests == []
    assert list(project.paths.raw.glob("*")) == []


def test_an_altered_file_in_the_mirror_is_refused(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "images.gz", CONTENT + b"!")
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", str(tmp_path))
    with pytest.raises(SourceError, match=r"images.gz is not what was expected"):
        acquire(project.params, project.paths)


def test_a_mirror_that_is_no_folder_is_named(project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", str(tmp_path / "mirorr"))
    with pytest.raises(SourceError, match=r"CLOSEDLOOP_MIRROR is '.*mirorr', which is not a folder"):
        acquire(project.params, project.paths)


def test_local_files_need_no_mirror(project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "own" / "images.gz")
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", str(tmp_path / "mirror"))
    params = project.params.model_copy(update={"source": source(str(tmp_path / "own" / "images.gz"))})
    assert acquire(params, project.paths)[0]["retrieved_from"] == str(tmp_path / "own" / "images.gz")


@pytest.mark.usefixtures("mirror")
def test_the_published_checksums_of_mnist_hold_in_the_mirror(make_project: Any) -> None:
    project = make_project("mnist")
    entries = acquire(project.params, project.paths)
    assert [entry["bytes"] for entry in entries] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert all(entry["retrieved_from"].startswith("$CLOSEDLOOP_MIRROR/mnist/") for entry in entries)
    assert sha256(project.paths.raw / "test-labels.idx") == project.params.source.files[3].sha256


@given(st.text(st.sampled_from("ab/.%2Fe?#\\~ ")), st.sampled_from(["https://host/", "s3://bucket/", "memory://"]))
def test_no_url_leads_out_of_the_mirror(path: str, scheme: str) -> None:
    found = [Path(place).resolve() for place in locations(scheme + path, "/srv/mirror")]
    assert all(place.is_relative_to("/srv/mirror") for place in found)
    lengths = [len(place.parts) for place in found]
    assert lengths == sorted(lengths, reverse=True)


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_a_packed_file_cut_anywhere_never_appears(content: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(content, mtime=0)
    cut = data.draw(st.integers(0, len(packed)))
    with tempfile.TemporaryDirectory() as folder:
        place, target = Path(folder) / "a.gz", Path(folder) / "raw" / "a.idx"
        place.write_bytes(packed[:cut])
        file = RemoteFile(name="a.idx", url=str(place), sha256=hashlib.sha256(content).hexdigest(), unpack="gzip")
        if cut == len(packed):
            fetch(file, target, source(str(place)), None)
            assert target.read_bytes() == content
        else:
            with pytest.raises(SourceError):
                fetch(file, target, source(str(place)), None)
            assert list(target.parent.glob("*")) == []
