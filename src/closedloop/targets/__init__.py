"""What a model tells about an example: one of several classes, or a number with an interval."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from closedloop.errors import DataError
from closedloop.files import read_json, write_json
from closedloop.targets.base import Target
from closedloop.targets.classes import Classes
from closedloop.targets.number import Number

if TYPE_CHECKING:
    from closedloop.config.data import Task

__all__ = ["Classes", "Number", "Target", "fit_target", "load_target", "of_task", "save_target"]

FILE = "target.json"  # beside the preprocessor's own


def fit_target(task: "Task", labels: Sequence[str]) -> Target:
    """The target of a task; `labels` are those of the training split. Raises DataError when all of them are equal."""
    return Number.fit(labels, task.coverage) if task.target == "number" else Classes(tuple(task.classes))


def of_task(task: "Task") -> Target:
    """The target before anything is fitted: enough to check labels."""
    return Number(0.0, 1.0, 0.0, 1.0, task.coverage) if task.target == "number" else Classes(tuple(task.classes))


def save_target(target: Target, folder: Path) -> None:
    write_json(folder / FILE, target.to_json())


def load_target(folder: Path) -> Target:
    """The target of a model from its preprocessor's folder; raises DataError when it is missing or unreadable."""
    file = folder / FILE
    try:
        # versions that were registered before there were numbers name their classes in the preprocessor
        content = read_json(file if file.is_file() else folder / "preprocessor.json")
        return Number(**content["number"]) if "number" in content else Classes(tuple(content["classes"]))
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise DataError(f"{file} is missing or damaged ({error}); run `dvc repro` from preprocess on") from None
