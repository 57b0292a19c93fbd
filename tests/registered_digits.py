"""Registered versions of linear models of the scanned digits, made in seconds and without torch."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.data.array_columns import to_column
from closedloop.data.examples import ID, LABEL
from closedloop.paths import Paths
from closedloop.registry import packaging, store
from closedloop.registry.watch import model_digest, model_files
from closedloop.serving.predictor import Predictor
from closedloop.targets import of_task, save_target
from closedloop.tasks import get_task
from closedloop.tasks.base import Preprocessor
from closedloop.tasks.images.request import IMAGE

CONF = Path(__file__).parents[1] / "conf"
TRAINED_ON = {"weak": 30, "strong": 1200}  # examples; the accuracies of the two differ clearly
TESTED_FROM = 1200


def digits(start: int, stop: int) -> pa.Table:
    content = load_digits()
    images = np.round(content.images[start:stop] * 255 / 16).astype(np.uint8)
    names = [str(code) for code in content.target[start:stop]]
    return pa.table({ID: [f"all-{i:06d}" for i in range(start, stop)], IMAGE: to_column(images), LABEL: names})


def digits_params(*overrides: str) -> Params:
    return parse(compose("digits", overrides, conf=CONF), "conf")


@dataclass(frozen=True)
class Registry:
    """A project in the current folder with a registry of its own."""

    root: Path
    params: Params
    client: Any
    packaged: dict[str, Path]

    def add(self, kind: str, **tags: str) -> int:
        """Register a copy of the weak or the strong model as another version."""
        folder = self.root / "mlartifacts" / f"model-{len(list(self.root.glob('mlartifacts/*')))}"
        shutil.copytree(self.packaged[kind], folder)
        tags = {"digest": model_digest(*model_files(folder)), "floors": "met", **tags}
        return int(self.client.create_model_version("digits", str(folder), tags=tags).version)

    def folder(self, version: int) -> Path:
        return Path(self.client.get_model_version_download_uri("digits", str(version)))

    def point(self, alias: str, version: int) -> None:
        self.client.set_registered_model_alias("digits", alias, str(version))


@pytest.fixture(scope="session")
def packaged_digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """An initialised store, and the folders of two packaged models by name."""
    root = tmp_path_factory.mktemp("packaged")
    with pytest.MonkeyPatch.context() as patch:
        _enter(root, patch)
        params = digits_params()
        client = store.connect(params)
        folders = {name: Path(mlflow.artifacts.download_artifacts(package_digits(params, name))) for name in TRAINED_ON}
        client.create_registered_model("digits")
    return root / "mlflow.db", folders


def package_digits(params: Params, kind: str) -> str:
    """Train and package a model below the current folder; return its uri."""
    paths = Paths("digits", Path(kind))
    train = digits(0, TRAINED_ON[kind])
    preprocessor = get_task("images").fit(train, params)
    preprocessor.save(paths.preprocessor)
    save_target(of_task(params.task), paths.preprocessor)
    _write_linear(paths.model / "model.onnx", preprocessor, train)
    records = preprocessor.encode(train.slice(0, 2))
    answers = Predictor.load(paths.model / "model.onnx", paths.preprocessor).answer(records)
    experiment = store.connect(params).get_experiment_by_name("digits").experiment_id
    run = mlflow.MlflowClient().create_run(experiment)
    return packaging.package(run.info.run_id, paths, records, answers)


@pytest.fixture
def registry(
    packaged_digits: tuple[Path, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Registry]:
    """A registry with the model `digits` and no versions yet."""
    template, packaged = packaged_digits
    shutil.copy(template, tmp_path / "mlflow.db")
    _enter(tmp_path, monkeypatch)
    params = digits_params()
    yield Registry(tmp_path, params, store.connect(params), packaged)


def _enter(root: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(root)
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "CLOSEDLOOP_LOG_URI"):
        patch.delenv(name, raising=False)


def _write_linear(path: Path, preprocessor: Preprocessor, train: pa.Table) -> None:
    """softmax(flatten(x) W + b) as an ONNX file."""
    inputs = preprocessor.transform(train)["inputs"]
    fitted = LogisticRegression(max_iter=200).fit(inputs.reshape(len(inputs), -1), train.column(LABEL).to_pylist())
    nodes = [
        helper.make_node("Flatten", ["inputs"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = {"weights": fitted.coef_.T, "bias": fitted.intercept_}
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", *inputs.shape[1:]])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(fitted.intercept_)])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
