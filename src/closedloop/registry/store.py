"""The connection to MLflow: one place for its address, its first use and its failures."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from closedloop.config import Params
from closedloop.errors import RegistryError
from closedloop.sources.transport import public

LOCK_SECONDS = 60.0
UTC_SECOND = "%Y-%m-%dT%H:%M:%SZ"  # how times are written into the store, and read there by people
CHAMPION = "champion"  # the alias of the deployed version
CHALLENGER = "challenger"  # the alias of a version that is tried on live traffic


def project_root() -> Path:
    """The folder with dvc.yaml; for an experiment that DVC runs in a copy, the original's (DVC_ROOT)."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def tracking_uri(params: Params) -> str:
    """MLFLOW_TRACKING_URI, or tracking.uri with a relative SQLite file taken from the project's root."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or params.tracking.uri
    file = sqlite_file(uri)
    return f"sqlite:///{file}" if file else uri


def sqlite_file(uri: str) -> Path | None:
    prefix = "sqlite:///"
    if not uri.startswith(prefix):
        return None
    file = project_root() / uri.removeprefix(prefix)
    if any(character in str(file.parent) for character in "#%?"):
        raise RegistryError(f"MLflow cannot keep a database in {file.parent}: move the project to a path without # % ?")
    return file


def artifact_location(params: Params) -> str | None:
    """Where runs of this project keep their files: an absolute path or a bucket's url; None leaves it to the server."""
    location = params.tracking.artifacts
    if location.startswith("mlflow-artifacts:"):  # the server's own storage, which it lets nobody ask for by name
        return None
    return f"{location if '://' in location else project_root() / location}/{params.task.name}"


@contextmanager
def registry_lock(params: Params) -> Iterator[None]:
    """One change of the registry at a time on this machine.

    Raises RegistryError when another process holds the lock for longer than a minute.
    """
    path = project_root() / "work" / f"registry-{params.task.name}.lock"
    path.parent.mkdir(exist_ok=True)
    try:
        with FileLock(path, timeout=LOCK_SECONDS):
            yield
    except Timeout:
        raise RegistryError(
            f"another process has been changing the registry of {params.task.name} for over {LOCK_SECONDS:.0f} s "
            f"(lock {path}); wait for it, or end it, and run again"
        ) from None


def connect(params: Params) -> Any:
    """An MlflowClient on an initialised store with the task's experiment in it.

    Raises RegistryError when the store is locked, damaged or unreachable.
    """
    import mlflow

    uri = tracking_uri(params)
    file = sqlite_file(uri)
    mlflow.set_tracking_uri(uri)
    with translated(uri):
        client: Any = mlflow.MlflowClient()
        if file:
            # two first uses of a fresh SQLite store at the same time can damage it for good
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_name(f"{file.name}.lock"), timeout=LOCK_SECONDS):
                fresh = not file.exists()
                client.search_experiments(max_results=1)
                if fresh:
                    with sqlite3.connect(file) as database:  # readers then never wait for a writer
                        database.execute("PRAGMA journal_mode=WAL")
        _ensure_experiment(client, params)
    return client


def _ensure_experiment(client: Any, params: Params) -> None:
    from mlflow.exceptions import MlflowException

    name = params.task.name
    if client.get_experiment_by_name(name) is None:
        try:
            client.create_experiment(
                name,
                artifact_location=artifact_location(params),
                tags={
                    "mlflow.experimentKind": "custom_model_development",  # the pages for training, not for agents
                    "mlflow.note.content": f"{params.task.title}. Data: {params.source.homepage}",
                },
            )
        except MlflowException:  # made by another process a moment ago
            if client.get_experiment_by_name(name) is None:
                raise
    found = client.get_experiment_by_name(name)
    if found.lifecycle_stage == "deleted":
        raise RegistryError(
            f"the MLflow experiment {name!r} has been deleted; restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn the store's own exceptions into a RegistryError that says what to do."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    uri = public(uri)
    try:
        yield
    except Timeout:
        raise RegistryError(f"the MLflow store {uri} is being initialised by another process; run again") from None
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "database is locked" in str(error):
            advice = "another program holds it locked: close what has it open (a database browser?) and run again"
        elif "readonly database" in str(error):
            advice = "the file or its folder is read-only: make both writable and run again"
        elif "disk is full" in str(error):
            advice = "the disk is full: free some space and run again"
        elif "not a database" in str(error) or "malformed" in str(error):
            advice = "the file is damaged: move it away and run `dvc repro`, which registers the model anew"
        else:
            advice = "check that the address is right and the server is up, then run again"
        raise RegistryError(f"the MLflow store {uri} failed ({reason}): {advice}") from error
