"""Retraining for real: the pipeline, the registry and the log of a project of its own, also killed in the middle."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
from production_world import TARGET, labels_of

from closedloop.config import load
from closedloop.data.examples import read_examples
from closedloop.data.partitions import read_list
from closedloop.files import read_json
from closedloop.paths import Paths
from closedloop.prediction_log import attempts
from closedloop.prediction_log.clock import SECOND, now
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.labels import add_labels
from closedloop.prediction_log.reading import SETTLED
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import Answer, LogWriter
from closedloop.serving.predictor import Predictor
from closedloop.tasks import get_task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
SHIPPED = (".dvc/config", ".dvcignore", "conf", "partitions", "pipelines", "src", "dvc.yaml")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_", "CLOSEDLOOP_"))},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
WINDOW = 200
# a short training, and a gate that forgives the little that its noise costs on the old test examples
OVERRIDES = ("preprocess.production_share=0.45", "trainer.max_epochs=25", "gate.max_loss=0.05")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "closedloop.cli", *arguments]


def run(project: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        command(*arguments), cwd=project, env=ENVIRONMENT, text=True, capture_output=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def predictor(project: Path) -> Predictor:
    paths = Paths("digits", project)
    return Predictor.load(paths.model / "model.onnx", paths.preprocessor)


def shifted(project: Path, start: int) -> pa.Table:
    examples = read_examples(Paths("digits", project).examples("production")).slice(start, WINDOW)
    return get_task("images").shift(examples, "contrast", 4, np.random.default_rng(start))


def answer(project: Path, examples: pa.Table) -> None:
    """Log what version 1 answers, as the server does, with the true labels."""
    model = predictor(project)
    records = model.preprocessor.encode(examples)
    with contextlib.chdir(project):
        engine = open_log(load(project / "params.yaml"))
        writer = LogWriter(engine)
        rows = []
        for record, said in zip(records, model.answer(records), strict=True):
            content, shares = json.dumps(record).encode(), list(said["probabilities"].values())
            found = (said["class"], said["confidence"], shares, 1.0)
            rows.append(Answer(new_id(), now(), "digits", 1, "champion", content, *found))
        asyncio.run(writer.write(rows))
        writer.close()
        pairs = [(row.id, label) for row, label in zip(rows, labels_of(examples), strict=True)]
        assert add_labels(engine, "digits", pairs, TARGET).accepted == len(pairs)
        engine.dispose()
    time.sleep(SETTLED / SECOND + 0.2)  # what is younger belongs to the next window


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 deployed, two windows of shifted traffic checked, all of it labelled."""
    project = tmp_path_factory.mktemp("drifted") / "closedloop"
    for name in SHIPPED:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.json" if name == "partitions" else "")
            shutil.copytree(ROOT / name, project / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, project / name)
    run(project, "run", "--task", "digits", *OVERRIDES)
    for start in (0, WINDOW):
        answer(project, shifted(project, start))
        run(project, "monitor", "traffic=log", f"traffic.window={WINDOW}", code=3)
    return project


@pytest.fixture
def project(drifted: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "closedloop"
    shutil.copytree(drifted, copied, symlinks=True)
    return copied


def accuracy(project: Path, examples: pa.Table) -> float:
    model = predictor(project)
    said = np.array([model.target.logged(row)[0] for row in model.answers(examples).tolist()])
    return float((said == np.array(labels_of(examples))).mean())


def recorded(project: Path) -> list[attempts.Attempt]:
    with contextlib.chdir(project):
        engine = open_log(load(project / "params.yaml"))
        found = attempts.recent(engine, "digits", 10)
        engine.dispose()
    return found


def outcome(project: Path) -> tuple[list[str], str, bytes]:
    """What a retraining comes to: the data, the model, its weights."""
    receipt = read_json(project / "reports/digits/registration.json")
    assert (receipt["version"], receipt["champion"], receipt["verdict"]) == (2, 2, "promoted")
    listed = [entry.sha256 for entry in read_list(project / "partitions/digits.json")]
    weights = (project / "models/digits/trained/weights.safetensors").read_bytes()
    return listed, receipt["digests"]["model"], weights


def kill_when(project: Path, sign: Path) -> None:
    """SIGKILL for `closedloop retrain` and all that it has started, as soon as a file is there."""
    process = subprocess.Popen(
        command("retrain"),
        cwd=project,
        env=ENVIRONMENT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not sign.exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(started, timeout=30)


def test_drift_is_learnt_and_a_kill_in_the_middle_changes_nothing_about_it(
    drifted: Path, project: Path, tmp_path: Path
) -> None:
    later = shifted(project, 2 * WINDOW)
    before = accuracy(project, later)
    said = run(project, "retrain")
    assert "2 of the last 2 windows of version 1 drifted" in said
    assert "version 2 of digits promoted" in said
    assert accuracy(project, later) > before + 0.05
    [record] = recorded(project)
    assert (record.trigger, record.outcome, record.champion_before, record.champion_after) == (
        "drift",
        "promoted",
        1,
        2,
    )
    assert "no window of version 2 has been checked" in run(project, "retrain")
    assert "promoted" in run(project, "history")
    again = run(project, "run", "traffic=clean")
    assert not set(re.findall(r"Running stage '([a-z-]+)@digits'", again)) & {"preprocess", "train", "evaluate"}

    killed = tmp_path / "killed"
    shutil.copytree(drifted, killed, symlinks=True)
    kill_when(killed, killed / "work/digits/last.ckpt")
    said = run(killed, "retrain")
    assert "was interrupted: its process is gone" in said
    assert outcome(killed) == outcome(project)
    assert [entry.outcome for entry in recorded(killed)] == ["interrupted", "promoted"]
