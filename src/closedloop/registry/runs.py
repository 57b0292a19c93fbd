"""MLflow runs: one for each training, one for the checks of each deployed version."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from closedloop.config import Params
from closedloop.lineage import git_commit, library_versions
from closedloop.nested import flatten
from closedloop.registry.store import UTC_SECOND, connect, tracking_uri, translated

# the sections of the configuration that a person compares runs by
COMPARED = {"seed", "preprocess", "model", "augmentation", "optimizer", "scheduler", "trainer"}
STAGE, TASK = "closedloop.stage", "closedloop.task"
PROCESS, LOST = "closedloop.process", "closedloop.lost_run"
NOTE = "mlflow.note.content"  # the description, in Markdown


@dataclass(frozen=True)
class Run:
    """A run being written to."""

    client: Any
    id: str

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Log metrics at a step in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(name, value, now, step) for name, value in metrics.items()])

    def show(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """Log a picture at a step; MLflow's page of the run shows those of one name as a series."""
        self.client.log_image(self.id, picture if picture.ndim == 3 else picture[:, :, None], key=name, step=step)

    @property
    def started(self) -> str:
        """When the run began, UTC."""
        milliseconds = self.client.get_run(self.id).info.start_time
        return time.strftime(UTC_SECOND, time.gmtime(milliseconds / 1000))

    def log_best(self, best: dict[str, float], epochs: int, seconds: float) -> None:
        """Log the metrics of the epoch whose weights are kept: a table of runs shows the last epoch's alone."""
        kept = {name.replace("val/", "best/val_"): value for name, value in best.items() if "val/" in name}
        self.log({**kept, "best/epoch": best["epoch"], "train/seconds": seconds}, epochs)

    def keep(self, *files: Path, folder: str | None = None) -> None:
        """Copy files or folders into the run's artifacts; what does not exist is left out."""
        for file in files:
            if file.is_dir():
                self.client.log_artifacts(self.id, str(file), f"{folder}/{file.name}" if folder else file.name)
            elif file.is_file():
                self.client.log_artifact(self.id, str(file), folder)


@contextmanager
def training_run(params: Params, run_id: str | None) -> Iterator[Run]:
    """A run for a training, with system metrics; goes on with `run_id` where that run still exists.

    It ends FINISHED, FAILED or KILLED with the block; runs that a dead process left RUNNING are ended as KILLED.
    """
    import mlflow

    client = connect(params)
    with translated(tracking_uri(params)):
        experiment = client.get_experiment_by_name(params.task.name).experiment_id
        end_orphans(client, experiment, spare=run_id)
        if run_id is None or not exists(client, run_id):
            run_id = create_run(client, params, "train", run_name(params), {NOTE: f"`{_command(params)}`"}).id
            describe(client, run_id, params)
        client.set_tag(run_id, PROCESS, this_process())
    mlflow.set_system_metrics_sampling_interval(2)
    mlflow.set_system_metrics_samples_before_logging(1)
    with translated(tracking_uri(params)), mlflow.start_run(run_id=run_id, log_system_metrics=True):
        yield Run(client, run_id)


def run_name(params: Params) -> str:
    return f"{params.model.name} {params.model.shape}, {params.trainer.max_epochs} epochs, seed {params.seed}"


def _command(params: Params) -> str:
    """What makes such a run again: two runs of one name differ in it."""
    changed = " ".join(params.composed.overrides)
    return f"make run TASK={params.task.name}" + (f" ARGS='{changed}'" if changed else "")


def create_run(client: Any, params: Params, stage: str, name: str, tags: Mapping[str, str] | None = None) -> Run:
    """A new run in the task's experiment, tagged with stage, task and commit, and with further tags."""
    experiment = client.get_experiment_by_name(params.task.name).experiment_id
    tags = {
        STAGE: stage,
        TASK: params.task.name,
        "mlflow.source.name": f"pipelines/{stage}.py",
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": git_commit(),
        **(tags or {}),
    }
    return Run(client, client.create_run(experiment, tags=tags, run_name=name).info.run_id)


def stand_in(client: Any, params: Params, lost: str) -> Run | None:
    """The run that stands in for a lost one, where there is one already."""
    experiment = client.get_experiment_by_name(params.task.name).experiment_id
    found = client.search_runs([experiment], f"tags.`{LOST}` = '{lost}'", max_results=1)
    return Run(client, found[0].info.run_id) if found else None


def exists(client: Any, run_id: str) -> bool:
    """Whether a run is in the store and not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def describe(client: Any, run_id: str, params: Params) -> None:
    """Log the configuration that a person compares runs by, all of it as a file, and the libraries' versions."""
    from mlflow.entities import Param

    content = params.model_dump(include=COMPARED)
    client.log_batch(run_id, params=[Param(key, in_words(value)) for key, value in flatten(content).items()])
    client.log_dict(run_id, params.model_dump(exclude={"tracking"}), "params.yaml")
    client.log_dict(run_id, library_versions(), "versions.yaml")


def in_words(value: Any) -> str:
    """A value as a parameter: lists without brackets, which MLflow's pages would spread over a line an item."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def log_dataset(run: Run, params: Params, split: str, digest: str, examples: int) -> None:
    """Record a data set as an input of the run; the digest is of the packed tensors."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = Dataset(
        name=f"{params.task.name}-{split}",
        digest=digest[:36],
        source_type="dvc",
        source=json.dumps({"url": params.source.homepage, "licence": params.source.licence}),
        profile=json.dumps({"num_rows": examples}),
    )
    run.client.log_inputs(run.id, [DatasetInput(data, [InputTag("mlflow.data.context", split)])])


def this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def end_orphans(client: Any, experiment: str, spare: str | None) -> None:
    """End as KILLED what dead processes of this machine left RUNNING."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        host, _, pid = run.data.tags.get(PROCESS, ":0").rpartition(":")
        if run.info.run_id != spare and host == socket.gethostname() and not psutil.pid_exists(int(pid)):
            client.set_terminated(run.info.run_id, "KILLED")


def log_monitoring(params: Params, version: int, metrics: dict[str, float], artifacts: list[Path]) -> None:
    """Add the figures of one check to the run that follows a deployed version, as the next point in time."""
    client = connect(params)
    with translated(tracking_uri(params)):
        experiment = client.get_experiment_by_name(params.task.name).experiment_id
        name = f"monitor version {version}"
        found = client.search_runs(
            [experiment], f"tags.`{STAGE}` = 'monitor' and attributes.run_name = '{name}'", max_results=1
        )
        run = Run(client, found[0].info.run_id) if found else create_run(client, params, "monitor", name)
        step = max((len(client.get_metric_history(run.id, key)) for key in metrics), default=0)
        run.log(metrics, step)
        run.keep(*artifacts, folder=f"check-{step:04d}")
        client.set_terminated(run.id)
