"""The real pipeline, driven as its user does: DVC, MLflow and all, on the embedded digits, in a folder without git."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from closedloop.files import read_json

ROOT = Path(__file__).parents[1]
SHIPPED = (".dvc/config", ".dvcignore", "conf", "partitions", "pipelines", "src", "dvc.yaml")
SHORT = ("trainer.max_epochs=14",)
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_"))},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}


def checkout(folder: Path) -> Path:
    """What a source archive holds."""
    for name in SHIPPED:
        source = ROOT / name
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    return folder


def closedloop(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "closedloop.cli", *arguments]
    return subprocess.run(command, cwd=project, env=ENVIRONMENT, text=True, capture_output=True, check=False)


def succeed(project: Path, *arguments: str) -> str:
    finished = closedloop(project, *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def dvc(project: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=project, env=ENVIRONMENT, text=True, capture_output=True, check=True).stdout


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([a-z-]+)@digits'", output))


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    project = checkout(tmp_path_factory.mktemp("first") / "closedloop")
    return project, succeed(project, "run", "--task", "digits", *SHORT)


@pytest.fixture
def project(first_run: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the finished first run, in a place of its own."""
    copied = tmp_path / "closedloop"
    shutil.copytree(first_run[0], copied, symlinks=True)
    return copied


def test_the_first_run_ends_with_data_score_model_drift_and_where_to_look(first_run: tuple[Path, str]) -> None:
    project, output = first_run
    assert stages_run(output) == {
        *("check-params", "acquire", "validate", "preprocess", "train"),
        *("evaluate", "register", "traffic", "monitor"),
    }
    table = output[output.rindex("  data ") :].splitlines()
    assert [line.split()[0] for line in table if line.strip()] == ["data", "score", "model", "drift", "look"]
    assert "digits version 1: champion" in output
    assert read_json(project / "reports/digits/drift.json")["verdict"] == "clean"
    assert "champion" in succeed(project, "models")


def test_a_second_run_does_nothing_but_ask_the_registry(project: Path) -> None:
    receipt = (project / "reports/digits/registration.json").read_bytes()
    assert stages_run(succeed(project, "run")) == {"register"}
    assert (project / "reports/digits/registration.json").read_bytes() == receipt


def test_more_epochs_touch_the_training_and_what_comes_before_it_not(project: Path) -> None:
    succeed(project, "params", "trainer.max_epochs=15")
    changed = {stage.partition("@")[0] for stage in json.loads(dvc(project, "status", "--json"))}
    assert "train" in changed
    assert not changed & {"acquire", "validate", "preprocess"}


@pytest.mark.slow
def test_more_epochs_train_anew_and_are_compared(project: Path) -> None:
    output = succeed(project, "run", "trainer.max_epochs=15")
    ran = stages_run(output)
    assert {"train", "evaluate", "register"} <= ran
    assert not ran & {"acquire", "validate", "preprocess"}
    assert read_json(project / "reports/digits/registration.json")["version"] == 2
    compared = succeed(project, "compare", "1", "2")
    assert re.search(r"trainer\.max_epochs +14 +15\n", compared)
    assert re.search(r"Gain over A on the same test examples.*\n +B +accuracy +[+-]0\.\d+", compared)
    assert (project / "reports/digits/comparison.html").is_file()


def test_drift_is_found_said_with_exit_code_3_and_gone_with_its_cause(project: Path) -> None:
    """The registry is lost meanwhile: the next command has it again, with a champion."""
    shifted = closedloop(project, "monitor", "traffic.scenario=noise")
    assert shifted.returncode == 3, shifted.stdout + shifted.stderr
    assert stages_run(shifted.stdout) <= {"check-params", "register", "traffic", "monitor"}
    assert "drift" in shifted.stderr
    for file in project.glob("mlflow.db*"):
        file.unlink()
    assert stages_run(succeed(project, "monitor", "traffic.scenario=none")) >= {"register", "traffic", "monitor"}
    assert "champion" in succeed(project, "models")


def kill_when(project: Path, ready: Callable[[], bool]) -> None:
    """Start the pipeline and SIGKILL its whole process group as soon as something has happened."""
    process = start(project)
    wait_for(process, ready)
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(started, timeout=30)  # DVC's lock names its process, which takes a moment to be gone


def end_when(project: Path, ready: Callable[[], bool]) -> None:
    """Start the pipeline and tell it to end while it trains: all that it has started ends with it."""
    process = start(project)
    wait_for(process, ready)
    started = psutil.Process(process.pid).children(recursive=True)
    assert any("train.py" in " ".join(child.cmdline()) for child in started)
    process.terminate()
    assert process.wait(timeout=30) != 0
    gone, alive = psutil.wait_procs(started, timeout=10)
    assert gone and not alive


def start(project: Path) -> subprocess.Popen[bytes]:
    """The pipeline in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "closedloop.cli", "run"],
        cwd=project,
        env=ENVIRONMENT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, "the pipeline ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def outcome(project: Path) -> tuple[bytes, dict[str, float], str]:
    reports = project / "reports/digits"
    receipt = read_json(reports / "registration.json")
    weights = (project / "models/digits/trained/weights.safetensors").read_bytes()
    return weights, read_json(reports / "metrics.json"), receipt["digests"]["model"]


def test_a_clean_clone_ended_and_killed_ends_as_its_receipts_say(project: Path) -> None:
    """What git keeps is there; data, models, registry and cache are not."""
    undisturbed = outcome(project)
    for name in ("data", "models", "work", "mlartifacts", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project / name)
    for file in [*project.glob("mlflow.db*"), *project.glob("reports/**/*.png"), *project.glob("reports/**/*.html")]:
        file.unlink()
    assert (project / "reports/digits/registration.json").is_file()
    assert (project / "dvc.lock").is_file()
    end_when(project, lambda: any(project.glob("work/digits/last.ckpt")))
    kill_when(project, lambda: any(project.glob("mlartifacts/digits/**/model.onnx")))  # register is at work
    assert "champion" not in succeed(project, "models")
    succeed(project, "run")
    assert outcome(project) == undisturbed
    assert read_json(project / "reports/digits/registration.json")["champion"] == 1
    listing = succeed(project, "models").splitlines()
    assert len(listing) == 2  # the heading and one version: the kill left no second one


def test_a_second_run_at_the_same_time_is_refused(project: Path) -> None:
    from filelock import FileLock

    before = (project / "params.yaml").read_bytes()
    with FileLock(project / "work/run.lock"):
        for command in ("run", "params"):
            finished = closedloop(project, command, "trainer.max_epochs=3")
            assert finished.returncode == 1
            assert "another run is under way" in finished.stderr
    assert (project / "params.yaml").read_bytes() == before  # the other run still reads it


def test_params_changed_to_another_task_under_a_running_stage_stop_it(project: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "pipelines/evaluate.py"],
        cwd=project,
        env={**ENVIRONMENT, "DVC_STAGE": "evaluate@mnist"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 2
    assert "params.yaml was changed to the task digits while evaluate@mnist" in finished.stderr


def test_plots_and_metrics_are_there_to_look_at(project: Path) -> None:
    succeed(project, "plots")
    page = (project / "dvc_plots/digits.html").read_text()
    assert page.count("<svg") >= 3
    assert "<script" not in page
    assert '"accuracy_low"' in dvc(project, "metrics", "show", "--json")


def test_an_edited_configuration_stops_the_pipeline_until_it_is_composed(project: Path) -> None:
    model = project / "conf/model/cnn.yaml"
    model.write_text(model.read_text().replace("dropout: 0.3", "dropout: 0.4"))
    finished = closedloop(project, "run")
    assert finished.returncode == 2
    assert "params.yaml is stale: model.dropout is 0.3 but conf/ says 0.4" in finished.stderr
    plain = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=project,
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert plain.returncode != 0
    assert "params.yaml is stale" in plain.stderr
    assert "train" not in stages_run(plain.stdout)
