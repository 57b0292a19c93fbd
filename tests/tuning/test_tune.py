"""A search on real data: what it reads and writes, how it goes on after a kill, what it leaves in MLflow."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from searching import Searched

from closedloop import composition
from closedloop.cli import main
from closedloop.config import Params
from closedloop.errors import DataError
from closedloop.registry.store import connect
from closedloop.tuning.space import configured, read_space
from closedloop.tuning.study import open_search
from closedloop.tuning.tune import tune

TRIALS = {"tune.trials": 3, "optimizer.lr": 0.0005}  # so slow that another trial does better in three epochs
SCRIPT = """
from pathlib import Path
from closedloop.config import load
from closedloop.paths import Paths
from closedloop.stage import guarded
from closedloop.tuning.tune import tune

if __name__ == "__main__":
    raise SystemExit(guarded(lambda: print(tune(load(Path("params.yaml")), Paths("digits")))))
"""


def trials(project: Searched, params: Params) -> list[tuple[str, dict[str, Any], dict[int, float]]]:
    """State, values and reported scores of each trial."""
    found = open_search(params, project.paths, read_space(params)).study.trials
    return [(trial.state.name, trial.params, trial.intermediate_values) for trial in found]


def start(project: Searched, changes: dict[str, int]) -> subprocess.Popen[str]:
    (project.root / "params.yaml").write_text(yaml.safe_dump(project.params(changes).model_dump()))
    (project.root / "search.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "search.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_trial(project: Searched, process: subprocess.Popen[str], number: int) -> list[psutil.Process]:
    """Wait until a trial has reported its first epoch; return the processes of the search."""
    query = "SELECT 1 FROM trial_intermediate_values JOIN trials USING (trial_id) WHERE number = ?"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        where = f"file:{project.paths.studies}?mode=ro"
        # before there are tables, or a file
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(where, uri=True)) as database:
            if database.execute(query, (number,)).fetchone():
                return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        time.sleep(0.02)
    pytest.fail(f"no trial {number} in two minutes")


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Searched, Params, str]:
    """A search that nothing has disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        project = Searched.enter(prepared, tmp_path_factory.mktemp("finished"), patch)
        params = project.params({**TRIALS, "tune.repeats": 2})
        return project, params, tune(params, project.paths)


def test_the_configuration_then_has_exactly_the_best_values(
    finished: tuple[Searched, Params, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, params, said = finished
    monkeypatch.chdir(project.root)
    search = open_search(params, project.paths, read_space(params))
    assert search.best is not None
    values = search.values(search.best)
    command = next(line for line in said.splitlines() if line.lstrip().startswith("next"))
    overrides = command.partition("ARGS='")[2].removesuffix("'").split()
    assert not [override for override in overrides if "tune." in override]
    taken = composition.write(project.root / "params.yaml", "digits", overrides, project.root / "conf")
    composition.check_current(project.root / "params.yaml", project.root / "conf")
    assert configured(taken) == {**configured(params), **values}


def test_a_search_leaves_one_run_with_a_run_for_each_training_below_it(
    finished: tuple[Searched, Params, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, params, _ = finished
    monkeypatch.chdir(project.root)
    client = connect(params)
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    parents = [run for run in runs if run.data.tags.get("closedloop.stage") == "tune"]
    assert [run.info.status for run in parents] == ["FINISHED"]
    below = {run.info.run_name.split(",")[0]: run for run in runs if run not in parents}
    assert {run.data.tags["mlflow.parentRunId"] for run in below.values()} == {parents[0].info.run_id}
    assert {"trial 0", "trial 1", "trial 2"} <= set(below)
    best = [run for run in below.values() if run.data.tags.get("closedloop.best")]
    assert [run.data.metrics["best/val_loss"] for run in best] == [parents[0].data.metrics["best/val_loss"]]
    assert below["trial 0"].data.params["optimizer.lr"] == "0.0005"  # the first one is as configured
    assert len(client.get_metric_history(below["trial 0"].info.run_id, "val/loss")) == params.trainer.max_epochs
    assert {file.path for file in client.list_artifacts(parents[0].info.run_id)} >= {"tuning.png", "digits.yaml"}


def test_a_damaged_file_of_trials_is_told_with_what_to_do(project: Searched) -> None:
    project.paths.studies.write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match=r"studies\.db with the trials of all searches failed .*move it away"):
        tune(project.params(TRIALS), project.paths)


def test_a_wrong_key_stops_the_command_before_anything_is_written_or_run(
    project: Searched, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("closedloop.reproduction.dvc", lambda *_: pytest.fail("a stage was run"))
    with pytest.raises(SystemExit) as ended:
        main(["tune", "--task", "digits", "tune.space.modle.drop.choice=[1,2]"])
    assert ended.value.code == 2
    assert "tune.space.modle.drop: unknown key" in capsys.readouterr().err
    assert not (project.root / "params.yaml").exists()


@pytest.mark.slow
def test_killed_and_run_again_the_search_is_the_one_that_nothing_had_disturbed(
    finished: tuple[Searched, Params, str], project: Searched
) -> None:
    undisturbed = trials(finished[0].go(), finished[1])
    project.go()
    process = start(project, TRIALS)
    started = wait_for_trial(project, process, 1)
    process.kill()
    psutil.wait_procs(started, timeout=30)
    assert not [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    params = project.params(TRIALS)
    assert [state for state, _, _ in trials(project, params)].count("RUNNING") == 1
    tune(params, project.paths)
    assert trials(project, params) == undisturbed
    client = connect(params)
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert sorted(run.info.run_name.split(",")[0] for run in runs)[:3] == ["trial 0", "trial 1", "trial 2"]
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_says_how_to_go_on(project: Searched) -> None:
    process = start(project, {"tune.trials": 50, "tune.jobs": 2})
    started = wait_for_trial(project, process, 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; run the same command again to go on" in said
    assert "Traceback" not in said
    assert not psutil.wait_procs(started, timeout=10)[1]
    client = connect(project.params())
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    done = len([1 for state, _, _ in trials(project, project.params()) if state == "COMPLETE"])
    tune(project.params({"tune.trials": done + 2, "tune.jobs": 2}), project.paths)
    assert {state for state, _, _ in trials(project, project.params())} == {"COMPLETE"}


def test_without_prepared_data_the_command_that_makes_them_is_named(project: Searched) -> None:
    project.paths.tensors("train").unlink()
    with pytest.raises(DataError, match=r"train\.safetensors is missing; run `dvc repro preprocess@digits`"):
        tune(project.params(TRIALS), project.paths)
