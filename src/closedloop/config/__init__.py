"""The one typed schema of params.yaml: unknown keys are refused, every mistake is reported at once."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from closedloop.config.data import Composed, Part, Preprocess, RemoteFile, Source, Task, Validation
from closedloop.config.learning import CNN, Augmentation, EarlyStopping, Optimizer, Scheduler, Trainer
from closedloop.config.operation import Drill, Evaluation, Gate, Log, Monitor, Retraining, Serving, Tracking, Traffic
from closedloop.config.section import Section
from closedloop.errors import ConfigError

__all__ = [
    "CNN", "Augmentation", "Composed", "Drill", "EarlyStopping", "Evaluation", "Gate", "Log", "Monitor", "Optimizer",
    "Params", "Part", "Preprocess", "RemoteFile", "Retraining", "Scheduler", "Serving", "Source", "Task", "Tracking",
    "Traffic", "Trainer", "Validation", "load", "parse",
]  # fmt: skip


class Params(Section):
    """Everything that a pipeline run depends on."""

    composed: Composed = Composed()
    seed: Annotated[int, Field(ge=0)] = 0  # of training: initial weights, shuffling, dropout, augmentation
    task: Task
    source: Source
    validation: Validation = Validation()
    preprocess: Preprocess = Preprocess()
    model: CNN
    augmentation: Augmentation = Augmentation()
    optimizer: Optimizer
    scheduler: Scheduler
    trainer: Trainer
    evaluation: Evaluation = Evaluation()
    gate: Gate
    traffic: Traffic = Traffic()
    monitor: Monitor = Monitor()
    tracking: Tracking = Tracking()
    serving: Serving = Serving()
    log: Log = Log()
    retraining: Retraining = Retraining()
    drill: Drill = Drill()


def parse(content: Any, where: str) -> Params:
    """Check a composed configuration; `where` names its origin in the message.

    Raises ConfigError that lists every mistake with its key, the value found and what is allowed.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"{where} holds no configuration; compose it with `make params TASK=digits`")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        mistakes = [_describe(mistake) for mistake in error.errors()]
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError(f"{where} has {count}:\n" + "\n".join(f"  - {line}" for line in mistakes)) from None


def _describe(mistake: Any) -> str:
    key = ".".join(str(part) for part in mistake["loc"]) or "(whole file)"
    if mistake["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_allowed_keys(mistake['loc'][:-1]))}"
    if mistake["type"] == "missing":
        return f"{key}: missing"
    found = "" if isinstance(mistake["input"], dict) else f" (found {mistake['input']!r})"
    return f"{key}: {mistake['msg'].removeprefix('Value error, ')}{found}"


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = Params
    for part in location:
        if isinstance(part, int):
            continue
        annotation = section.model_fields[part].annotation
        # a list of sections, e.g. source.files: step into the section of its items
        section = getattr(annotation, "__args__", (annotation,))[0]
    return sorted(section.model_fields)


AGAIN = "`make params TASK=digits` (or another file of conf/task/)"


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises ConfigError when the file is missing, is not YAML, or holds a mistake.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist in {Path.cwd()}; go to the project's root, or compose it with {AGAIN}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path} is not readable YAML ({error}); compose it again with {AGAIN}") from None
    try:
        return parse(content, str(path))
    except ConfigError as error:
        raise ConfigError(f"{error}\nCompose it again with {AGAIN}") from None
