"""Texts in files of their own, with a subfolder a class."""

from pathlib import Path

import pyarrow as pa

from closedloop.data.archives import read_contents
from closedloop.onboarding.archives import find_folders, holds, place, refuse_columns
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.proposal import Asked, Proposal, RawFile
from closedloop.onboarding.sections import CHECK, archive_format, text_settings

ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1")  # one of them for all files; the first that all are in


class Texts:
    form = "texts: a folder, or a zip, of .txt files with a subfolder a class"

    def recognises(self, path: Path) -> bool:
        return holds(path, ".txt")

    def place(self, path: Path) -> list[RawFile]:
        return [place(path)]

    def look(self, raw: Path, asked: Asked) -> Proposal:
        """Raises DataError when a file cannot be unpacked or lies in no folder of a class."""
        refuse_columns(asked, "its subfolders")
        contents = dict(read_contents(raw, ".txt", "texts", lambda name, content: (name, content)))
        folders = find_folders(list(contents), str(asked.path))
        encoding = next(name for name in ENCODINGS if all(_is_in(text, name) for text in contents.values()))
        note = "" if encoding in ("utf-8", "utf-16") else f"{CHECK}: not all bytes are UTF-8, so this was guessed"
        return Proposal(
            kind="texts",
            why="files of text in a folder a class",
            form=f"a folder a class, {encoding}",
            content=f"{len(contents):,} files" + (", official test split in a folder" if folders.parts else ""),
            format={**archive_format("text_archive", raw.name, ".txt", folders), "encoding": Noted(encoding, note)},
            classes=folders.classes,
            left_out=folders.left_out,
            title=f"texts in {asked.path.name}",
            checks=(f"encoding: {encoding} was guessed, as not all files are UTF-8",) if note else (),
            settings=text_settings(pa.array([text.decode(encoding) for text in contents.values()])),
        )


def _is_in(content: bytes, encoding: str) -> bool:
    if encoding == "utf-16" and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False  # nearly anything of even length would do
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
