"""What a model tells: a class, a number with an interval, how a text goes on, an image, or what to do next."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import ConfigError, DataError
from closedloop.files import read_json, write_json
from closedloop.targets.action import Action
from closedloop.targets.base import Target
from closedloop.targets.classes import Classes
from closedloop.targets.image import Image
from closedloop.targets.number import Number
from closedloop.targets.text import Text

if TYPE_CHECKING:
    from closedloop.config.data import Task

__all__ = [
    "Action",
    "Classes",
    "Image",
    "Number",
    "Target",
    "Text",
    "fit_target",
    "flawed",
    "load_target",
    "of_task",
    "require_labels",
    "said_of",
    "save_target",
]

TOKENS = "tokens"  # the input whose values are the characters of a text
FILE = "target.json"  # beside the preprocessor's own
UNLABELLED = {  # what a task of each such target does, and how it learns of a changed world
    "text": "goes on with texts, which have no labels to be learnt from later: put the new text into the file that its "
    "source names",
    "image": "makes images, which have no labels to be learnt from later: put new ones to imitate into the files that "
    "its source names",
    "action": "acts, and no label says what would have been right: bring its source's physics up to date",
}


def fit_target(task: "Task", labels: Sequence[str], cardinalities: Mapping[str, Sequence[int]]) -> Target:
    """The target of a task; `labels` are those of the training split, `cardinalities` the preprocessor's.

    Raises DataError when nothing can be learnt from the labels.
    """
    if task.target == "number":
        return Number.fit(labels, task.coverage)
    return Text(cardinalities[TOKENS][0]) if task.target == "text" else of_task(task)


def of_task(task: "Task") -> Target:
    """The target before anything is fitted: enough to check labels."""
    match task.target:
        case "number":
            return Number(0.0, 1.0, 0.0, 1.0, task.coverage)
        case "text":
            return Text(0)
        case "image":
            return Image()
        case "action":
            return Action(tuple(task.classes))
        case _:
            return Classes(tuple(task.classes))


def require_labels(task: "Task") -> None:
    """Raises ConfigError where examples have no labels, from which retraining learns."""
    if task.target in UNLABELLED:
        raise ConfigError(f"{task.name} {UNLABELLED[task.target]}, and run `make run`")


def flawed(target: Target, labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Which of the labels (N,) cannot be one; each distinct one is asked about once."""
    kinds, kind = np.unique(labels, return_inverse=True)
    found: NDArray[np.bool_] = np.array([target.flaw(label) is not None for label in kinds.tolist()], bool)[kind]
    return found


def save_target(target: Target, folder: Path) -> None:
    write_json(folder / FILE, target.to_json())


def said_of(target: Target) -> dict[str, Any]:
    """What clients are told of a target; nothing of one that has nothing to tell, as images have not."""
    return {name: said for name, said in target.to_json().items() if said}


def load_target(folder: Path) -> Target:
    """The target of a model from its preprocessor's folder; raises DataError when it is missing or unreadable."""
    file = folder / FILE
    try:
        # versions that were registered before there were numbers name their classes in the preprocessor
        content = read_json(file if file.is_file() else folder / "preprocessor.json")
        if "number" in content:
            return Number(**content["number"])
        if "image" in content:
            return Image()
        if "actions" in content:
            return Action(tuple(content["actions"]))
        return Text(**content["text"]) if "text" in content else Classes(tuple(content["classes"]))
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise DataError(f"{file} is missing or damaged ({error}); run `dvc repro` from preprocess on") from None
