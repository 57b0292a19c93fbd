"""A prepared digits project with few training examples and without a test split to look at."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from closedloop import composition
from closedloop.config import Params, parse
from closedloop.data.tensors import read_tensors, write_tensors
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.sources.acquire import acquire

CONF = Path(__file__).parents[2] / "conf"
SMALL = ("trainer.max_epochs=3", "model.filters=[8]", "model.pooled_layers=1", "model.dense=[16]", "tune.repeats=0")
SPACE = (
    "~tune.space.model.filters",
    "~tune.space.model.dense",
    "~tune.space.trainer.label_smoothing",
    "tune.pruner=none",
)
FEW = 200  # training examples


@dataclass(frozen=True)
class Searched:
    """A project in the current folder."""

    root: Path
    paths: Paths

    def params(self, *overrides: str) -> Params:
        return parse(composition.compose("digits", (*SMALL, *SPACE, *overrides), CONF), "test")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tensors of a small training split and of the validation split; the test split is there, and unreadable."""
    root = tmp_path_factory.mktemp("prepared")
    paths = Paths("digits", root)
    params = parse(composition.compose("digits", (), CONF), "test")
    acquire(params, paths)
    preprocess(params, paths)
    few = {name: array[:FEW] for name, array in read_tensors(paths.tensors("train")).items()}
    write_tensors(paths.tensors("train"), few)
    for split in ("test", "production"):
        for file in (paths.tensors(split), paths.examples(split)):
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"nobody may look at this")
    return root


@pytest.fixture
def project(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searched:
    """The current folder: a copy of the prepared project with a link to conf/ and an empty registry."""

    root = tmp_path / "project"
    shutil.copytree(prepared, root)
    shutil.copytree(CONF, root / "conf")
    monkeypatch.chdir(root)
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return Searched(root, Paths("digits"))
