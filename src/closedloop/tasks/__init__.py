"""The kinds of problem that the pipeline carries, a folder each."""

import importlib

from closedloop.errors import ConfigError
from closedloop.tasks.base import Task
from closedloop.tasks.schema import KINDS


def get_task(kind: str) -> Task:
    """The task of a kind, imported on demand; raises ConfigError for an unknown one."""
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of task {kind!r}; allowed: {', '.join(KINDS)}")
    task: Task = importlib.import_module(f"closedloop.tasks.{kind}.task").TASK
    return task
