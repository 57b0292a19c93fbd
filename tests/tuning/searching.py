"""A prepared digits project with few training examples, and a test split that nobody can read."""

import functools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from closedloop import composition
from closedloop.config import Params, parse
from closedloop.data.tensors import read_tensors, write_tensors
from closedloop.files import write_json
from closedloop.nested import put
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.sources.acquire import acquire

CONF = Path(__file__).parents[2] / "conf"
SMALL = (
    *("trainer.max_epochs=3", "model.filters=[8]", "model.pooled_layers=1", "model.dense=[16]"),
    *("tune.repeats=0", "tune.pruner=none", "~tune.space.model.filters", "~tune.space.model.dense"),
)
FEW = 200  # training examples


@dataclass(frozen=True)
class Searched:
    """A project of its own folder, which is the current one."""

    root: Path

    @property
    def paths(self) -> Paths:
        return Paths("digits")

    def params(self, changes: dict[str, Any] | None = None) -> Params:
        """The configuration of a small search with some keys changed."""
        content = yaml.safe_load(_small())
        for key, value in (changes or {}).items():
            put(content, key, value)
        return parse(content, "test")

    def go(self) -> Self:
        """Make this project the current one again."""
        os.chdir(self.root)
        return self

    @classmethod
    def enter(cls, prepared: Path, folder: Path, patch: pytest.MonkeyPatch) -> Self:
        """Copy a prepared project and go there."""
        root = folder / "project"
        shutil.copytree(prepared, root)
        shutil.copytree(CONF, root / "conf")
        patch.chdir(root)
        for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
            patch.delenv(name, raising=False)
        return cls(root)


@functools.cache  # Hydra takes a third of a second
def _small() -> str:
    return yaml.safe_dump(composition.compose("digits", SMALL, CONF))


def prepare(root: Path) -> None:
    """Tensors to train and to validate on; the other splits are there, and unreadable."""
    paths = Paths("digits", root)
    params = parse(composition.compose("digits", (), CONF), "test")
    acquire(params, paths)
    write_json(paths.report("preprocess.json"), preprocess(params, paths))
    few = {name: array[:FEW] for name, array in read_tensors(paths.tensors("train")).items()}
    write_tensors(paths.tensors("train"), [few], FEW)
    for split in ("test", "production"):
        for file in (paths.tensors(split), paths.examples(split)):
            file.write_bytes(b"nobody may look at this")
