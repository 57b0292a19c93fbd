"""The connection to MLflow and the runs in it: locked, damaged, left behind by the dead, gone on with."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from closedloop.config import Params
from closedloop.errors import RegistryError
from closedloop.registry import store
from closedloop.registry.runs import Run, log_monitoring, training_run


@pytest.fixture
def params(make_project: Any, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Of a project in the current folder, in which nothing has been trained yet."""
    project = make_project("digits", "trainer.max_epochs=12")
    monkeypatch.chdir(project.root)
    found: Params = project.params
    return found


def test_a_locked_store_is_named_with_what_to_do(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    store.connect(params)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db?timeout=0.2")  # waits less than the usual 20 s
    blocker = sqlite3.connect("mlflow.db", isolation_level=None)
    blocker.execute("PRAGMA journal_mode=DELETE")
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(RegistryError, match="another program holds it locked"):
            store.connect(params)
    finally:
        blocker.close()


def test_a_password_in_the_address_of_the_store_is_not_shown() -> None:
    with pytest.raises(RegistryError) as raised, store.translated("postgresql://user:secret@host/mlflow"):
        raise sqlite3.OperationalError("no such host")
    assert "secret" not in str(raised.value) and "host/mlflow" in str(raised.value)


def test_a_damaged_store_is_named_with_what_to_do(params: Params) -> None:
    Path("mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(RegistryError, match="the file is damaged: move it away"):
        store.connect(params)


def test_runs_that_a_dead_process_left_running_are_ended(params: Params) -> None:
    with training_run(params, None) as orphan:
        pass
    client = store.connect(params)
    client.update_run(orphan.id, status="RUNNING")
    host = client.get_run(orphan.id).data.tags["closedloop.process"].partition(":")[0]
    client.set_tag(orphan.id, "closedloop.process", f"{host}:999999999")
    with pytest.raises(RuntimeError), training_run(params, None) as failing:
        raise RuntimeError
    assert client.get_run(orphan.id).info.status == "KILLED"
    assert client.get_run(failing.id).info.status == "FAILED"


def test_a_resumed_training_goes_on_in_its_run(params: Params) -> None:
    with training_run(params, None) as first:
        first.log({"train/loss": 2.0}, 1)
    with training_run(params, first.id) as second:
        second.log({"train/loss": 1.0}, 2)
    assert second.id == first.id
    told = store.connect(params).get_run(first.id).data.tags["mlflow.note.content"]
    assert told == "`make run TASK=digits ARGS='trainer.max_epochs=12'`"
    history = store.connect(params).get_metric_history(first.id, "train/loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 2.0), (2, 1.0)]


def test_checks_of_one_version_are_points_of_one_run(params: Params) -> None:
    for value in (0.1, 0.2):
        log_monitoring(params, 3, {"drift/share": value}, [])
    client = store.connect(params)
    experiment = client.get_experiment_by_name("digits").experiment_id
    runs = client.search_runs([experiment], "attributes.run_name = 'monitor version 3'")
    assert len(runs) == 1
    steps = [metric.step for metric in client.get_metric_history(Run(client, runs[0].info.run_id).id, "drift/share")]
    assert steps == [0, 1]
