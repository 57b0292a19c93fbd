"""A trained and evaluated digits project, made once; each test works on a copy with a registry of its own."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from closedloop import composition
from closedloop.config import Params, load, parse
from closedloop.evaluation.evaluate import evaluate
from closedloop.files import write_json
from closedloop.learning import training
from closedloop.learning.record import Nowhere
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.registration import register
from closedloop.sources.acquire import acquire

CONF = Path(__file__).parents[2] / "conf"
LOW_FLOORS = {"min_accuracy": 0.05, "min_macro_f1": 0.0, "min_class_recall": 0.0, "max_calibration_error": 1.0}
UseModel = Callable[[str], None]


def train_into(root: Path, overrides: list[str]) -> None:
    """Acquire to evaluate, without MLflow: what register finds."""
    params = composition.write(root / "params.yaml", "digits", overrides, CONF)
    paths = Paths("digits", root)
    acquire(params, paths)
    write_json(paths.report("preprocess.json"), preprocess(params, paths))
    training.save_session(training.open_session(params, paths), paths)
    trained = training.fit(params, paths, Nowhere())
    training.save(trained, paths)
    training.close_session(paths)
    write_json(paths.run, {"run_id": "0" * 32, "seconds": 1.0})
    evaluate(params, paths)


@pytest.fixture(scope="session")
def trained_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good model and a bad one, with the same test split."""
    good, bad = tmp_path_factory.mktemp("good"), tmp_path_factory.mktemp("bad")
    train_into(good, ["trainer.max_epochs=12"])
    # good enough for floors that a test lowers, and clearly worse than the good one
    train_into(bad, ["trainer.max_epochs=2", "model.filters=[4]", "model.pooled_layers=1", "model.dense=[8]"])
    return {"good": good, "bad": bad}


@pytest.fixture(scope="session")
def registered_models(trained_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The projects of the two models, each registered as the first version and champion of a registry of its own."""
    registered = {}
    for name, trained in trained_models.items():
        root = tmp_path_factory.mktemp(f"registered-{name}") / "project"
        shutil.copytree(trained, root)
        with pytest.MonkeyPatch.context() as patch:
            enter(root, patch)
            assert register(changed(gate=LOW_FLOORS), Paths("digits"))["champion"] == 1
        registered[name] = root
    return registered


@pytest.fixture
def project(trained_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project with the good model trained, and an empty registry."""
    root = tmp_path / "project"
    shutil.copytree(trained_models["good"], root)
    enter(root, monkeypatch)
    return root


def enter(root: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(root)
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    patch.delenv("DVC_ROOT", raising=False)


@pytest.fixture
def use_champion(registered_models: dict[str, Path], project: Path, use_model: UseModel) -> UseModel:
    """Put the good or the bad model in place, registered as version 1 and champion.

    The files of that version are those of all tests: none may change them. Others go into the test's own folder.
    """

    def put(name: str) -> None:
        use_model(name)
        for file in ("reports/digits/registration.json", "mlflow.db"):
            shutil.copy(registered_models[name] / file, project / file)
        with closing(sqlite3.connect(project / "mlflow.db")) as database, database:
            database.execute("UPDATE experiments SET artifact_location = ?", (str(project / "mlartifacts/digits"),))

    return put


@pytest.fixture
def use_model(trained_models: dict[str, Path], project: Path) -> UseModel:
    """Put the good or the bad model in place of the one that is there."""

    def put(name: str) -> None:
        for folder in ("models", "reports"):
            receipt = project / "reports/digits/registration.json"
            kept = receipt.read_bytes() if receipt.is_file() else None
            shutil.rmtree(project / folder)
            shutil.copytree(trained_models[name] / folder, project / folder)
            if kept is not None:
                receipt.write_bytes(kept)

    return put


@pytest.fixture
def params_with() -> Callable[..., Params]:
    """The project's params with some sections changed: params_with(gate={"min_accuracy": 0.5})."""

    return changed


def changed(**sections: dict[str, object]) -> Params:
    content = yaml.safe_load(Path("params.yaml").read_text())
    for section, values in sections.items():
        content[section] |= values
    return parse(content, "test")


@pytest.fixture
def params(project: Path) -> Params:
    return load(project / "params.yaml")
