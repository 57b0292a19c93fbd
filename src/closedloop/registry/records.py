"""What MLflow knows of finished runs, for those who compare them."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from closedloop.config import Params
from closedloop.errors import ConfigError, DataError
from closedloop.evaluation.answers import Answers, read_answers
from closedloop.files import read_json
from closedloop.registry.runs import STAGE, TASK
from closedloop.registry.store import connect, tracking_uri, translated

SHORTEST = 6  # characters of a run's id that may stand for it
SHOWN = 8  # of an id, for people
PAGE = 1000  # runs that MLflow lists at a time


@dataclass(frozen=True)
class Record:
    """A run: what it was told, what came of it, and where that can be compared."""

    id: str
    name: str
    started: str  # UTC, to the minute
    version: int | None  # of the registered model
    config: dict[str, str]  # by key, as logged; then commit and data
    validation: dict[str, float]  # of the epoch whose weights are kept
    evaluation: dict[str, Any] | None  # evaluation.json
    predictions: Answers | None  # of the test split
    test_split: str | None  # digest of its examples


def named_runs(params: Params, names: Sequence[str]) -> list[Record]:
    """The runs with these ids, beginnings of ids, or numbers of model versions, in this order.

    Raises ConfigError that lists every name without a run, or of another task.
    """
    client = connect(params)
    with translated(tracking_uri(params)):
        known = _runs(client, params, "")
        found, mistakes = [], []
        for name in names:
            run = _find(client, params, name, known)
            if isinstance(run, str):
                mistakes.append(run)
            else:
                found.append(run)
        twice = [run.info.run_id for place, run in enumerate(found) if run in found[:place]]
        mistakes += [f"{run_id[:SHOWN]} is named twice" for run_id in dict.fromkeys(twice)]
        if mistakes:
            latest = "".join(f"\n    {run.info.run_id[:SHOWN]}  {run.info.run_name}" for run in _trained(known)[:5])
            listing = f"\n  the latest runs of {params.task.name}:{latest}" if latest else ""
            raise ConfigError("\n  - ".join(["these runs cannot be compared:", *mistakes]) + listing)
        return [_record(client, params, run) for run in found]


def latest_runs(params: Params, count: int) -> list[Record]:
    """The latest finished trainings of the pipeline, the oldest of them first; trials of a search are none."""
    client = connect(params)
    with translated(tracking_uri(params)):
        runs = _trained(_runs(client, params, "attributes.status = 'FINISHED'"))[:count]
        return [_record(client, params, run) for run in reversed(runs)]


def _runs(client: Any, params: Params, which: str) -> list[Any]:
    """The latest runs of the task's experiment, the latest first."""
    experiment = client.get_experiment_by_name(params.task.name).experiment_id
    return list(client.search_runs([experiment], which, max_results=PAGE, order_by=["attributes.start_time DESC"]))


def _trained(runs: Sequence[Any]) -> list[Any]:
    return [run for run in runs if run.data.tags.get(STAGE) in ("train", "register")]


def _find(client: Any, params: Params, name: str, known: Sequence[Any]) -> Any:
    """The run of that name, or why there is none."""
    from mlflow.exceptions import MlflowException

    try:
        if name.isdecimal() and len(name) < SHORTEST:
            run = client.get_run(client.get_model_version(params.task.name, name).run_id)
        else:
            begun = [run for run in known if run.info.run_id.startswith(name)] if len(name) >= SHORTEST else []
            if len(begun) > 1:
                return f"{name} is the beginning of {len(begun)} runs: name more of it"
            run = begun[0] if begun else client.get_run(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return f"there is no run {name}: name an id of a run, its first {SHORTEST} characters or more, or a version"
    task = run.data.tags.get(TASK)
    if task != params.task.name:
        return f"{name} is of the task {task or 'unknown'}, and the composed one is {params.task.name}"
    if run.info.lifecycle_stage != "active":
        return f"{name} has been deleted; `mlflow runs restore --run-id {run.info.run_id}` brings it back"
    return run


def _record(client: Any, params: Params, run: Any) -> Record:
    tags, metrics = run.data.tags, run.data.metrics
    data = {_context(one): one.dataset.digest for one in run.inputs.dataset_inputs}
    versions = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    kept = {file.path for file in client.list_artifacts(run.info.run_id)}
    with tempfile.TemporaryDirectory() as folder:
        files = {
            name: Path(client.download_artifacts(run.info.run_id, name, folder))
            for name in ("evaluation.json", "predictions.parquet")
            if name in kept
        }
        evaluation = read_json(files["evaluation.json"]) if "evaluation.json" in files else None
        predictions = _predictions(files.get("predictions.parquet"))
    origin = {"commit": tags.get("mlflow.source.git.commit", "none")[:SHOWN]}
    origin |= {f"data.{split}": digest[:SHOWN] for split, digest in data.items()}
    return Record(
        run.info.run_id,
        run.info.run_name,
        time.strftime("%Y-%m-%d %H:%M", time.gmtime(run.info.start_time / 1000)),
        max((int(version.version) for version in versions if version.name == params.task.name), default=None),
        {key: value.strip("[]") for key, value in run.data.params.items()} | origin,  # lists once had brackets
        {name.removeprefix("best/val_"): value for name, value in metrics.items() if name.startswith("best/val_")},
        evaluation,
        predictions,
        data.get("test"),
    )


def _context(data: Any) -> str:
    return next((tag.value for tag in data.tags if tag.key == "mlflow.data.context"), "unknown")


def _predictions(file: Path | None) -> Answers | None:
    try:
        return read_answers(file) if file else None
    except DataError:  # damaged, or of a time when they were written otherwise: as good as none
        return None
