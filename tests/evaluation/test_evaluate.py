"""The stage as a whole, on scanned digits and a model that needs no torch."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from digits_project import Project, write_linear_model
from sklearn.metrics import accuracy_score, log_loss

from closedloop.composition import compose
from closedloop.config import parse
from closedloop.data.examples import LABEL, PART, write_examples
from closedloop.errors import DataError
from closedloop.evaluation.evaluate import _require_same_target, evaluate
from closedloop.evaluation.predictions import Predictions
from closedloop.files import read_json
from closedloop.paths import Paths
from closedloop.targets import Action

CONF = Path(__file__).parents[2] / "conf"
MakeProject = Callable[[Path], Project]


@pytest.fixture(scope="module")
def project(make_project: MakeProject, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("project"))
    evaluate(made.params, made.paths)
    return made


def test_the_report_holds_what_the_gate_and_the_summary_read(project: Project) -> None:
    report = read_json(project.paths.report("evaluation.json"))
    assert (report["task"], report["examples"], report["confidence"]) == ("digits", 300, 0.95)
    assert set(report["metrics"]) == {"accuracy", "roc_auc", "macro_f1", "log_loss", "calibration_error"}
    for figure in report["metrics"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert [row["class"] for row in report["classes"]] == project.params.task.classes
    assert sum(row["support"] for row in report["classes"]) == 300
    assert 0 < report["serving"]["latency_ms_median"] <= report["serving"]["latency_ms_p95"]
    assert report["serving"]["size_bytes"] > (project.paths.model / "model.onnx").stat().st_size


def test_with_feedback_among_the_test_examples_the_official_ones_have_figures_of_their_own(
    make_project: MakeProject, tmp_path: Path
) -> None:
    made = make_project(tmp_path)
    parts = pa.array(["all"] * 240 + ["feedback-0000abcd"] * 60)
    test = made.test.set_column(made.test.column_names.index(PART), PART, parts)
    write_examples(made.paths.examples("test"), test)
    report = evaluate(made.params, made.paths)
    assert (report["examples"], report["official"]["examples"]) == (300, 240)
    correct = Predictions.read(made.paths.predictions).correct
    assert report["official"]["metrics"]["accuracy"]["value"] == pytest.approx(correct[:240].mean())
    assert sum(row["support"] for row in report["official"]["classes"]) == 240


def test_the_network_stands_beside_a_simple_model_of_the_same_training_split(project: Project) -> None:
    baseline = read_json(project.paths.report("evaluation.json"))["baseline"]
    assert baseline["name"] == "3 nearest neighbours"
    accuracy, gain = baseline["metrics"]["accuracy"], baseline["gains"]["accuracy"]
    assert 0.9 < accuracy["low"] < accuracy["value"] < 1
    assert gain["champion"] == accuracy["value"]  # the linear model's opponent
    assert gain["gain"] == pytest.approx(gain["challenger"] - accuracy["value"])
    assert gain["low"] <= gain["gain"] <= gain["high"]
    assert read_json(project.paths.report("metrics.json"))["baseline_accuracy"] == accuracy["value"]


def test_the_figures_are_those_of_the_predictions_kept(project: Project) -> None:
    found = Predictions.read(project.paths.predictions)
    report = read_json(project.paths.report("evaluation.json"))
    truth = [int(label) for label in project.test.column(LABEL).to_pylist()]
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(accuracy_score(truth, found.predicted))
    assert report["metrics"]["accuracy"]["value"] > 0.9  # a linear model on digits
    rows = found.probabilities / found.probabilities.sum(axis=1, keepdims=True)  # float32 rows miss 1 by a little
    assert report["metrics"]["log_loss"]["value"] == pytest.approx(log_loss(truth, rows), rel=1e-4)
    flat = read_json(project.paths.report("metrics.json"))
    assert flat["accuracy"] == report["metrics"]["accuracy"]["value"]
    assert flat["worst_class_recall"] == min(row["recall"] for row in report["classes"])


def test_tables_figures_and_reference_are_written(project: Project) -> None:
    confusion = pd.read_csv(project.paths.report("confusion.csv"), dtype=str)
    assert confusion["actual"].tolist() == project.test.column(LABEL).to_pylist()
    assert pd.read_csv(project.paths.report("calibration.csv"))["examples"].sum() == 300
    assert len(pd.read_parquet(project.paths.reference)) == 300
    for name in ("confusion", "reliability", "mistakes", "classes", "curves"):
        assert (project.paths.figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not list(project.paths.root.rglob("*.tmp"))


def test_everything_but_the_timing_is_the_same_again(
    project: Project, make_project: MakeProject, tmp_path: Path
) -> None:
    again = make_project(tmp_path)
    evaluate(again.params, again.paths)
    first, second = (read_json(paths.report("evaluation.json")) for paths in (project.paths, again.paths))
    assert first.pop("serving").keys() == second.pop("serving").keys()
    assert first == second
    for name in (
        "predictions.parquet",
        "reference.parquet",
        "confusion.csv",
        "calibration.csv",
        "figures/mistakes.png",
    ):
        assert project.paths.report(name).read_bytes() == again.paths.report(name).read_bytes(), name


def test_neither_torch_nor_mlflow_is_imported() -> None:
    program = (
        "import sys, closedloop.evaluation.evaluate, closedloop.evaluation.gate, closedloop.evaluation.comparison; "
        "print([name for name in ('torch', 'mlflow', 'matplotlib', 'evidently', 'sklearn') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_class_without_test_examples_is_named(make_project: MakeProject, tmp_path: Path) -> None:
    made = make_project(tmp_path)
    known = pa.array(np.array(made.test.column(LABEL).to_pylist()) != "7")
    write_examples(made.paths.examples("test"), made.test.filter(known))
    with pytest.raises(DataError, match="no example of 1 of 10 classes: 7"):
        evaluate(made.params, made.paths)
    assert [file.name for file in made.paths.reports.iterdir()] == ["history.csv"]  # nothing of its own, half-written


def test_answers_that_are_not_numbers_are_refused(make_project: MakeProject, tmp_path: Path) -> None:
    made = make_project(tmp_path)
    write_linear_model(made.paths.model / "model.onnx", np.full((64, 10), np.nan), np.zeros(10), (1, 8, 8))
    with pytest.raises(DataError, match="300 of 300 answers are not probabilities"):
        evaluate(made.params, made.paths)


def test_an_empty_split_is_refused(make_project: MakeProject, tmp_path: Path) -> None:
    made = make_project(tmp_path)
    write_examples(made.paths.examples("test"), made.test.slice(0, 0))
    with pytest.raises(DataError, match="the split is empty"):
        evaluate(made.params, made.paths)


def test_a_model_of_other_classes_is_refused(make_project: MakeProject, tmp_path: Path) -> None:
    made = make_project(tmp_path)
    renamed = made.params.task.model_copy(update={"classes": [f"digit {i}" for i in range(10)]})
    with pytest.raises(DataError, match="was fitted for classes 0, 1, 2"):
        evaluate(made.params.model_copy(update={"task": renamed}), made.paths)


def test_a_model_of_other_actions_is_refused(tmp_path: Path) -> None:
    params = parse(compose("cartpole", conf=CONF), "conf")
    predictor = SimpleNamespace(target=Action(("right", "left")))
    with pytest.raises(DataError, match="was fitted for actions right, left, the task asks for actions left, right"):
        _require_same_target(predictor, params, Paths("cartpole", tmp_path))  # type: ignore[arg-type]


def test_a_missing_model_is_named(make_project: MakeProject, tmp_path: Path) -> None:
    made = make_project(tmp_path)
    (made.paths.model / "model.onnx").unlink()
    with pytest.raises(DataError, match=r"cannot load the model .*model\.onnx"):
        evaluate(made.params, made.paths)
