"""A folder of files as one zip."""

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.errors import SourceError
from closedloop.sources.download import fetch
from closedloop.sources.folder import pack


def packed(folder: Path) -> Path:
    target = folder.parent / "packed.zip"
    with target.open("wb") as file:
        pack(folder, file)
    return target


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
        digests.append(packed(root).read_bytes())
    assert digests[0] == digests[1]
    with zipfile.ZipFile(packed(root)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "/".join(name): content for name, content in files.items()
        }


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    for name in ("a/1.txt", "a/.DS_Store", ".git/config"):
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_text("x")
    assert zipfile.ZipFile(packed(tmp_path / "f")).namelist() == ["a/1.txt"]


def test_an_empty_folder_and_links_are_named(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(SourceError, match=r"f holds no files"):
        packed(tmp_path / "f")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "f" / "a.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match=r"a\.txt is a link; put a copy"):
        packed(tmp_path / "f")


def test_a_folder_cannot_be_unpacked(make_project: Any, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    source = make_project("sms_spam").params.source
    file = source.files[0].model_copy(update={"url": f"file://{tmp_path}/f"})
    with pytest.raises(SourceError, match="is a folder, which cannot be unpacked"):
        fetch(file, tmp_path / "raw.zip", source, None)
