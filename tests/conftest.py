"""What tests of every room share: a small project of its own folder, its stages, and real data from the mirror."""

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import in_process
from closedloop import composition
from closedloop.config import Params, parse
from closedloop.paths import Paths
from closedloop.sources.acquire import acquire

ROOT = Path(__file__).parents[1]
pytest_plugins = ["registered_digits", "postgres_cluster"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole pipeline's tests first: whoever gets the longest file last would end alone."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@dataclass(frozen=True)
class Outcome:
    """How a stage ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Project:
    """A task's configuration and its files, below a folder of its own."""

    root: Path
    params: Params

    @property
    def paths(self) -> Paths:
        return Paths(self.params.task.name, self.root)


@functools.cache  # Hydra takes a third of a second
def _composed(task: str, overrides: tuple[str, ...]) -> str:
    return yaml.safe_dump(composition.compose(task, overrides, ROOT / "conf"), sort_keys=False)


MakeProject = Callable[..., Project]
RunStage = Callable[[str, Project], Outcome]


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """make_project(task, *overrides) writes params.yaml into a folder of its own; nothing is acquired yet."""

    def make(task: str = "digits", *overrides: str) -> Project:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        content = _composed(task, overrides)
        (root / "params.yaml").write_text(content)
        return Project(root, parse(yaml.safe_load(content), "conf/"))

    return make


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    """MLflow writes the store that a test has connected to into the environment: the next test asks its own."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def digits(make_project: MakeProject) -> Project:
    """The embedded digits with their raw files."""
    project = make_project("digits")
    acquire(project.params, project.paths)
    return project


@pytest.fixture
def run_stage(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunStage:
    """run_stage(name, project) runs pipelines/<name>.py as DVC would, in this process."""

    def run(name: str, project: Project) -> Outcome:
        monkeypatch.chdir(project.root)  # where the test then looks
        capfd.readouterr()
        code = in_process.run_stage(project.root, name)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real data, set as the mirror; CLOSEDLOOP_MIRROR names it, or it lies beside the repository."""
    folder = Path(os.environ.get("CLOSEDLOOP_MIRROR") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no mirror of real data: {folder} is not a folder and CLOSEDLOOP_MIRROR names no other")
    monkeypatch.setenv("CLOSEDLOOP_MIRROR", str(folder))
    return folder
