"""The DVC remote: what one machine has run, another one goes on from."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from closedloop import composition

ROOT = Path(__file__).parents[1]
SHIPPED = (".dvc/config", ".dvcignore", ".gitignore", "conf", "partitions", "pipelines", "src", "dvc.yaml")
SHORT = ("trainer.max_epochs=2",)
LAST = "evaluate@digits"  # what comes after asks the registry, which the remote does not hold
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_", "CLOSEDLOOP_"))},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def execute(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=project, env=ENVIRONMENT, text=True, capture_output=True, check=False)


def succeed(project: Path, *command: str) -> str:
    done = execute(project, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def remote(project: Path, name: str) -> subprocess.CompletedProcess[str]:
    return execute(project, sys.executable, "-m", "closedloop.cli", name)


def dvc(project: Path, *arguments: str) -> str:
    return succeed(project, sys.executable, "-m", "dvc", *arguments)


def git(project: Path, *arguments: str) -> str:
    return succeed(project, "git", "-c", "user.name=a", "-c", "user.email=a@localhost", *arguments)


def outputs(project: Path) -> dict[str, str]:
    """The hash of every output in dvc.lock."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


def commit(project: Path) -> None:
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message=as it stands")


@pytest.mark.slow
def test_another_machine_goes_on_where_the_first_one_stopped(tmp_path: Path) -> None:
    """The project itself on digits: run here, published into a folder, restored in a clone."""
    here, there = tmp_path / "here", tmp_path / "there"
    for name in SHIPPED:
        source, target = ROOT / name, here / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    succeed(here, sys.executable, "-m", "closedloop.cli", "params", "--task", "digits", *SHORT)
    git(here, "init", "--quiet", "--initial-branch=main")
    dvc(here, "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    dvc(here, "repro", LAST)
    published = remote(here, "publish")
    assert published.returncode == 0, published.stderr
    assert "published 10 outputs of digits to the DVC remote storage" in published.stdout
    commit(here)

    git(tmp_path, "clone", "--quiet", str(here), str(there))
    restored = remote(there, "restore")
    assert restored.returncode == 0, restored.stderr
    assert "10 of the 10 outputs of digits are here" in restored.stdout
    weights = "models/digits/trained/weights.safetensors"
    assert (there / weights).read_bytes() == (here / weights).read_bytes()
    before = outputs(there)
    ran = re.findall(r"Running stage '([a-z-]+)@digits'", dvc(there, "repro", LAST))
    assert ran == ["check-params"]  # its receipt is kept by nobody
    assert outputs(there) == before
    assert git(there, "status", "--porcelain") == ""


PIPELINE = """
stages:
  acquire:
    matrix: {task: ["${task.name}"]}
    cmd: mkdir -p data/digits && echo raw | tee data/digits/raw data/digits/again
    outs:
      - data/${item.task}/raw:
          persist: true
      - data/${item.task}/again
  train:
    matrix: {task: ["${task.name}"]}
    cmd: mkdir -p models/digits && echo weights > models/digits/weights && echo '{}' > report.json
    deps:
      - data/${item.task}/raw
    outs:
      - models/${item.task}/weights
      - report.json:
          cache: false
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stages that have run and are published, in a repository; beside it the remote."""
    folder = tmp_path_factory.mktemp("small")
    project = folder / "project"
    project.mkdir()
    params = composition.compose("digits", (), ROOT / "conf")
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    (project / "dvc.yaml").write_text(PIPELINE)
    (project / ".gitignore").write_text("/work/\n/data/\n/models/\n")
    git(project, "init", "--quiet", "--initial-branch=main")
    dvc(project, "init", "--quiet")
    dvc(project, "remote", "add", "--default", "storage", str(folder / "storage"))
    dvc(project, "repro", "--quiet")
    assert remote(project, "publish").returncode == 0
    commit(project)
    return project


@pytest.fixture
def clone(small: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(small), "clone")
    return tmp_path / "clone"


def point(project: Path, url: str) -> None:
    (project / ".dvc/config.local").write_text(f"['remote \"storage\"']\n    url = {url}\n")


def test_what_was_published_is_brought_and_nothing_runs_again(clone: Path) -> None:
    done = remote(clone, "restore")
    assert done.returncode == 0, done.stderr
    assert "3 of the 3 outputs of digits are here" in done.stdout
    assert "Running stage" not in dvc(clone, "repro")
    assert git(clone, "status", "--porcelain") == ""


def test_what_the_remote_has_lost_is_named_and_the_rest_is_brought(small: Path, clone: Path) -> None:
    storage = Path(shutil.copytree(small.parent / "storage", clone.parent / "storage"))
    lost = outputs(clone)["models/digits/weights"]
    (storage / "files/md5" / lost[:2] / lost[2:]).unlink()
    point(clone, str(storage))
    done = remote(clone, "restore")
    assert done.returncode == 0, done.stderr
    assert "2 of the 3 outputs of digits are here" in done.stdout
    assert "the next run makes models/digits/weights" in done.stdout
    assert (clone / "data/digits/raw").read_text() == "raw\n"


@pytest.mark.parametrize("url", ["/nowhere/at/all", "http://user:secret@127.0.0.1:9/storage"])
def test_a_remote_that_is_empty_or_does_not_answer_is_no_success(clone: Path, url: str) -> None:
    point(clone, url)
    done = remote(clone, "restore")
    assert done.returncode == 1
    assert "holds none of the 3 outputs of digits that dvc.lock names, or does not answer" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_a_remote_that_cannot_be_written_fails_without_its_password(clone: Path) -> None:
    assert remote(clone, "restore").returncode == 0
    point(clone, "http://user:secret@127.0.0.1:9/storage")  # the port of discard: nobody listens
    done = remote(clone, "publish")
    assert done.returncode == 1
    assert "could not publish to the DVC remote storage (http://127.0.0.1:9/storage)" in done.stderr
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["restore", "publish"])
def test_without_a_remote_both_say_how_to_name_one(clone: Path, name: str) -> None:
    (clone / ".dvc/config").write_text("")
    done = remote(clone, name)
    assert done.returncode == 2
    assert "no DVC remote is configured" in done.stderr
    assert "dvc remote add --default" in done.stderr
    assert "Traceback" not in done.stderr


def test_before_the_first_run_there_is_nothing_to_move(clone: Path) -> None:
    (clone / "dvc.lock").unlink()
    assert "nothing to restore" in remote(clone, "restore").stdout
    done = remote(clone, "publish")
    assert done.returncode == 1
    assert "nothing to publish yet" in done.stderr


def test_a_conflict_left_in_the_lock_is_named(clone: Path) -> None:
    (clone / "dvc.lock").write_text("<<<<<<< HEAD\nstages: {}\n=======\n")
    done = remote(clone, "restore")
    assert done.returncode == 1
    assert "dvc.lock is damaged: resolve the merge conflict" in done.stderr


def test_data_in_the_way_are_not_overwritten(clone: Path) -> None:
    precious = clone / "data/digits/raw"
    precious.parent.mkdir(parents=True)
    precious.write_text("in no cache")
    done = remote(clone, "restore")
    assert done.returncode == 1
    assert "could not restore from" in done.stderr
    assert precious.read_text() == "in no cache"
