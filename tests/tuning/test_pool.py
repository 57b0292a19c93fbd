"""Processes that train: those that die are replaced, and each has its share of the machine."""

import os

import psutil
import pytest
from searching import Searched

from closedloop.tuning.pool import open_pool, shared
from closedloop.tuning.worker import Epoch, Outcome, Work


@pytest.mark.parametrize(("set_threads", "jobs", "threads"), [(0, 1, 8), (0, 3, 2), (0, 20, 1), (4, 2, 4)])
def test_trainings_at_the_same_time_share_the_threads_unless_told_otherwise(
    project: Searched, monkeypatch: pytest.MonkeyPatch, set_threads: int, jobs: int, threads: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    params = project.params({"trainer.threads": set_threads, "tune.jobs": jobs})
    assert shared(params).trainer.threads == threads


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced_and_its_training_goes_on_where_it_was(project: Searched) -> None:
    work, behind = (Work(project.params({"trainer.max_epochs": 6}), f"trial-{number}") for number in (0, 1))
    epochs: list[int] = []
    ended: list[Outcome | None] = []

    def on_epoch(done: Work, epoch: Epoch) -> bool:
        if done == behind:
            return epoch.number < 2
        epochs.append(epoch.number)
        if epochs == [1, 2, 3]:
            for child in psutil.Process().children():
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
        return True

    def on_end(done: Work, outcome: Outcome | None) -> Work | None:
        ended.append(outcome)
        return done if outcome is None else None

    with open_pool(1, project.paths.root, project.paths.trials) as pool:
        pool.run([work, behind], on_epoch, on_end, lambda: None)
    assert epochs == [1, 2, 3, 3, 4, 5, 6]  # the third had not been kept yet
    assert [outcome and outcome.state for outcome in ended] == [None, "complete", "pruned"]
    assert [outcome and outcome.epochs for outcome in ended] == [None, 6, 2]
