"""A folder or a zip of files with a subfolder a class: what all kinds of such data share."""

import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from closedloop.data.archives import files
from closedloop.errors import ConfigError, DataError
from closedloop.onboarding.classes import find_classes
from closedloop.onboarding.proposal import Asked, RawFile, file_name

TRAIN = frozenset({"train", "training", "valid", "validation", "val", "dev"})
TEST = frozenset({"test", "testing"})
NAMED = 5


def holds(path: Path, *endings: str) -> bool:
    """Whether a folder, or a zip, holds a file with one of the endings."""
    if path.is_dir():
        return any(one.suffix.lower() in endings for one in path.rglob("*") if not one.name.startswith("."))
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(True for _ in files(archive, *endings))
    return False


def place(path: Path) -> RawFile:
    return RawFile(file_name(f"{path.name}.zip" if path.is_dir() else path.name))


def refuse_columns(asked: Asked, classes: str) -> None:
    """Raise ConfigError when columns are named of what has none."""
    named = {"TARGET": asked.target, "TEXT": asked.text, "COLUMNS": asked.columns}
    given = [name for name, value in named.items() if value]
    if given:
        raise ConfigError(f"the classes of {asked.path.name} are {classes}: leave out {', '.join(given)}")


@dataclass(frozen=True)
class Folders:
    """How files lie in folders, and what that makes of them."""

    label: str  # a pattern of the path from the class's folder on, without the ending
    parts: dict[str, str]  # folder -> "train" or "test"; empty where there is no official test split
    classes: dict[str, int]
    left_out: dict[str, int]


def find_folders(names: list[str], where: str) -> Folders:
    """The classes of files by their folder: the first below what all have in common, and below train and test.

    Raises DataError when files lie in no folder of a class, or there are no two classes.
    """
    paths = [name.split("/") for name in names]
    common = 0
    while all(len(path) > common + 1 for path in paths) and len({path[common] for path in paths}) == 1:
        common += 1
    parts = {path[common].lower() for path in paths if len(path) > common + 1}
    official = parts <= TRAIN | TEST and bool(parts & TEST) and bool(parts & TRAIN)
    place = common + official
    loose = [name for name, path in zip(names, paths, strict=True) if len(path) <= place + 1]
    if loose:
        shown = ", ".join(loose[:NAMED]) + (f" and {len(loose) - NAMED} more" if len(loose) > NAMED else "")
        step = "take out what is no example"
        if len(loose) == len(names):
            step = "where names tell the class, write a source.format.pattern as conf/source/fsdd.yaml has it"
        raise DataError(
            f"{where}: {len(loose)} of {len(names)} files lie in no folder of a class: {shown}. Each class needs a "
            f"folder of its own, named like it; {step}"
        )
    labels = [path[place] for path in paths]
    classes, rare = find_classes(labels, f"{where}: its folders")
    deep = any(len(path) > place + 2 for path in paths)
    names_of_classes = "|".join(re.escape(name) for name in Counter(labels))
    label = f"(?P<label>{names_of_classes})/.+" if deep else "(?P<label>[^/]+)/[^/]+"
    found = sorted({path[common] for path in paths}) if official else []
    return Folders(label, {part: "test" if part.lower() in TEST else "train" for part in found}, classes, rare)
