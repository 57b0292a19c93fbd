"""A folder of files as one zip."""

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from closedloop.config import RemoteFile
from closedloop.errors import SourceError
from closedloop.sources.folder import pack

NAMES = st.text("abcö -_", min_size=1, max_size=6).filter(lambda name: name.strip(" ") == name)
FILES = st.dictionaries(st.tuples(NAMES, NAMES), st.binary(max_size=200), min_size=1, max_size=8)


@settings(deadline=None, max_examples=25)
@given(FILES)
def test_the_zip_holds_every_file_and_depends_on_names_and_contents_alone(
    tmp_path_factory: pytest.TempPathFactory, files: dict[tuple[str, str], bytes]
) -> None:
    digests = []
    for order, time in ((1, 0), (-1, 1_700_000_000)):
        root = tmp_path_factory.mktemp("folder") / "a b#c"
        for (folder, name), content in list(files.items())[::order]:
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (time, time))
        digests.append(pack(f"file://{root}", root.parent / "packed.zip"))
    assert digests[0] == digests[1]
    with zipfile.ZipFile(root.parent / "packed.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "/".join(name): content for name, content in files.items()
        }


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    for name in ("a/1.txt", "a/.DS_Store", ".git/config"):
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_text("x")
    pack(str(tmp_path / "f"), tmp_path / "packed.zip")
    assert zipfile.ZipFile(tmp_path / "packed.zip").namelist() == ["a/1.txt"]


def test_what_is_no_folder_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent is not a folder"):
        pack(f"file://{tmp_path}/absent", tmp_path / "packed.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"empty holds no files"):
        pack(f"file://{tmp_path}/empty", tmp_path / "packed.zip")


def test_a_folder_cannot_be_unpacked() -> None:
    with pytest.raises(ValidationError, match="a folder cannot be unpacked"):
        RemoteFile(name="a.zip", url="file:///a", sha256="0" * 64, unpack="gzip", folder=True)
