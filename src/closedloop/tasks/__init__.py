"""The kinds of problem that the pipeline carries."""

import importlib

from closedloop.errors import ConfigError
from closedloop.tasks.base import Task

KINDS = {"image_classification": "closedloop.tasks.image_classification:ImageClassification"}


def get_task(kind: str) -> Task:
    """The task of a kind, imported on demand; raises ConfigError for an unknown one."""
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of task {kind!r}; allowed: {', '.join(KINDS)}")
    module, name = KINDS[kind].split(":")
    task: Task = getattr(importlib.import_module(module), name)()
    return task
