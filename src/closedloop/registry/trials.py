"""The MLflow runs of a search: one for all of it, and below it one for each training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from closedloop.config import Params
from closedloop.registry.runs import (
    NOTE,
    PROCESS,
    Run,
    create_run,
    describe,
    end_orphans,
    exists,
    log_dataset,
    this_process,
)
from closedloop.registry.store import connect, tracking_uri, translated

PARENT = "mlflow.parentRunId"
STUDY, OUTCOME, BEST = "closedloop.study", "closedloop.outcome", "closedloop.best"
# in MLflow's words; its pages mark what was killed as they mark a failure, and a trial that was pruned is none
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "diverged": "FAILED", "broken": "FAILED"}


class SearchRuns:
    """The run of a search, gone on with or made anew, and those of its trainings."""

    def __init__(self, params: Params, study: str, run_id: str | None, data: Mapping[str, tuple[str, int]]) -> None:
        """`data` has the digest of each split that is read and the number of its examples."""
        self._params, self._study, self._data = params, study, data
        self._client = connect(params)
        with self._told():
            end_orphans(self._client, self._client.get_experiment_by_name(params.task.name).experiment_id, spare=None)
            if run_id is None or not exists(self._client, run_id):
                run_id = self._create("tune", f"tune {study}", params, {}).id
                self._client.log_dict(run_id, params.tune.space, "space.yaml")
            self.parent = Run(self._client, run_id)
            self._begin(run_id)

    def _told(self) -> Any:
        return translated(tracking_uri(self._params))

    def _create(self, stage: str, name: str, params: Params, tags: Mapping[str, str]) -> Run:
        tags = {STUDY: self._study, "mlflow.source.name": "closedloop tune", **tags}
        run = create_run(self._client, params, stage, name, tags)
        describe(self._client, run.id, params)
        for split, (digest, examples) in self._data.items():
            log_dataset(run, params, split, digest, examples)
        return run

    def _begin(self, run_id: str) -> None:
        self._client.update_run(run_id, status="RUNNING")
        self._client.set_tag(run_id, PROCESS, this_process())

    def training(self, stage: str, name: str, params: Params, run_id: str | None, tags: Mapping[str, str]) -> Run:
        """The run of one training of the search, gone on with where it is there already."""
        with self._told():
            if run_id is None or not exists(self._client, run_id):
                tags = {PARENT: self.parent.id, **tags}
                run_id = self._create(stage, f"{name}, {self._study}", params, tags).id
            self._begin(run_id)
            return Run(self._client, run_id)

    def end(self, run: Run, outcome: str, reason: str = "") -> None:
        """End a run with what came of it."""
        with self._told():
            self._client.set_tag(run.id, OUTCOME, outcome)
            if outcome == "pruned":
                name = self._client.get_run(run.id).info.run_name
                self._client.update_run(run.id, name=name.replace(",", " pruned,", 1))
            if reason:
                self._client.set_tag(run.id, NOTE, reason)
            self._client.set_terminated(run.id, STATUS.get(outcome, "KILLED"))

    def mark_best(self, run_id: str, before: str | None) -> None:
        """Let one training alone carry the tag of the best."""
        with self._told():
            if before not in (None, run_id) and exists(self._client, before):
                self._client.delete_tag(before, BEST)
            self._client.set_tag(run_id, BEST, "true")

    def summarise(self, note: str, metrics: Mapping[str, float], step: int, files: list[Path]) -> None:
        """Put what the search has found so far on its own run."""
        with self._told():
            self._client.set_tag(self.parent.id, NOTE, note)
            self.parent.log(dict(metrics), step)
            self.parent.keep(*files)
