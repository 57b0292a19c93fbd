"""The one typed schema of params.yaml: unknown keys are refused, every mistake is reported at once."""

from pathlib import Path
from typing import Annotated, Any, Self, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from closedloop.config.data import Composed, Preprocess, RemoteFile, Source, Task, Validation
from closedloop.config.learning import EarlyStopping, Optimizer, Scheduler, Trainer, Transfer
from closedloop.config.operation import (
    ActionGate,
    AnyGate,
    ClassGate,
    Drill,
    Evaluation,
    Gate,
    ImageGate,
    Log,
    Monitor,
    NumberGate,
    Retraining,
    Serving,
    TextGate,
    Tracking,
    Traffic,
)
from closedloop.config.tuning import Tune
from closedloop.errors import ConfigError
from closedloop.networks.schema import CNN, Augmentation, Model, NoAugmentation
from closedloop.section import Section
from closedloop.tasks.schema import KINDS, OF_CLASSES, ONLY_FOR

__all__ = [
    "CNN",
    "ActionGate",
    "AnyGate",
    "ClassGate",
    "Composed",
    "Drill",
    "EarlyStopping",
    "Evaluation",
    "ImageGate",
    "Log",
    "Monitor",
    "NumberGate",
    "Optimizer",
    "Params",
    "Preprocess",
    "RemoteFile",
    "Retraining",
    "Scheduler",
    "Serving",
    "Source",
    "Task",
    "TextGate",
    "Tracking",
    "Traffic",
    "Trainer",
    "Transfer",
    "Tune",
    "Validation",
    "load",
    "parse",
]  # fmt: skip


BETWEEN = "\n"  # of mistakes that are found together


class Params(Section):
    """Everything that a pipeline run depends on."""

    composed: Composed = Composed()
    seed: Annotated[int, Field(ge=0)] = 0  # of training: initial weights, shuffling, dropout, augmentation
    task: Task
    source: Source
    validation: Validation = Validation()
    preprocess: Preprocess = Preprocess()
    model: Model
    augmentation: Augmentation = NoAugmentation()
    optimizer: Optimizer
    scheduler: Scheduler
    trainer: Trainer
    transfer: Transfer = Transfer()
    tune: Tune = Tune()
    evaluation: Evaluation = Evaluation()
    gate: Gate
    traffic: Traffic = Traffic()
    monitor: Monitor = Monitor()
    tracking: Tracking = Tracking()
    serving: Serving = Serving()
    log: Log = Log()
    retraining: Retraining = Retraining()
    drill: Drill = Drill()

    @model_validator(mode="after")
    def _compatible(self) -> Self:
        kind, target = KINDS[self.task.kind], self.task.target
        scenarios = tuple(name for name in kind.scenarios if target == "classes" or name not in OF_CLASSES)
        chosen = {
            "source.format.name": (self.source.format.name, kind.formats),
            "preprocess.features.name": (self.preprocess.features.name, kind.features),
            "model.name": (self.model.name, kind.models),
            "augmentation.name": (self.augmentation.name, ("none", *kind.augmentations)),
            "traffic.scenario": (self.traffic.scenario, ("none", *scenarios)),
            "drill.scenario": (self.drill.scenario, scenarios),
            "task.target": (target, kind.targets),
        }
        wrong = [
            f"{key}: {found} does not go with task.kind {self.task.kind}; allowed: {', '.join(allowed)}"
            for key, (found, allowed) in chosen.items()
            if found not in allowed
        ]
        if self.gate.target != target:
            wrong.append(_other_gate(self.gate.target, target))
        wrong += [
            f"{key}: {chosen[key][0]} and task.target {target} do not go together; {name} and target {its} do"
            for its, choices in ONLY_FOR.items()
            for key, name in choices.items()
            if (chosen[key][0] == name) != (target == its)
        ]
        if kind.actions and tuple(self.task.classes) != kind.actions:
            wrong.append(
                f"task.classes: {', '.join(self.task.classes) or 'nothing'} does not go with task.kind "
                f"{self.task.kind}; its actions are [{', '.join(kind.actions)}], in this order"
            )
        if (self.evaluation.judge is None) == (target == "image"):
            said = "is missing" if target == "image" else f"{self.evaluation.judge} has nothing to judge"
            wrong.append(
                f"evaluation.judge: {said}; the images of task.target image are judged by a registered classifier"
            )
        if target == "image":
            unfit = {
                "traffic.source: log": self.traffic.source == "log",
                "log.inputs: omit": self.log.inputs == "omit",
                f"log.pseudonymised: {', '.join(self.log.pseudonymised)}": bool(self.log.pseudonymised),
            }
            wrong += [
                f"{choice} does not go with task.target image: requests hold noise, which is the same whatever "
                "the world is like; new images to imitate are watched with traffic.source examples"
                for choice, found in unfit.items()
                if found
            ]
        tested = self.retraining.min_labels * self.preprocess.feedback_test_share
        if tested < self.gate.min_recent:
            wrong.append(
                f"retraining.min_labels: {self.retraining.min_labels} labels leave about {tested:.0f} test examples "
                f"(preprocess.feedback_test_share {self.preprocess.feedback_test_share:g}), and gate.min_recent asks "
                f"for {self.gate.min_recent}: such a retraining could prove nothing on them"
            )
        if wrong:
            raise ValueError(BETWEEN.join(wrong))
        return self


def parse(content: Any, where: str) -> Params:
    """Check a composed configuration; `where` names its origin in the message.

    Raises ConfigError that lists every mistake with its key, the value found and what is allowed.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"{where} holds no configuration; compose it with `make params TASK=digits`")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        found = _without_keys_of_another_gate(content, error.errors())
        mistakes = [line for mistake in found for line in _describe(mistake).split(BETWEEN)]
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError(f"{where} has {count}:\n" + "\n".join(f"  - {line}" for line in mistakes)) from None


def _other_gate(gate: str, target: str) -> str:
    right = "default" if target == "classes" else target
    return f"gate.target: {gate} does not go with task.target {target}; choose gate={right}"


def _without_keys_of_another_gate(content: dict[str, Any], mistakes: list[Any]) -> list[Any]:
    """One mistake in the place of all in a gate of another target: the task's own keys of a gate do not fit it."""
    gate, target = (
        section.get("target") if isinstance(section, dict) else None
        for section in (content.get("gate"), content.get("task"))
    )
    elsewhere = [mistake for mistake in mistakes if mistake["loc"][:2] != ("gate", gate)]
    if gate is None or target is None or gate == target or len(elsewhere) == len(mistakes):
        return mistakes
    return [*elsewhere, {"type": "value_error", "loc": (), "msg": _other_gate(gate, target)}]


def _describe(mistake: Any) -> str:
    key = _follow(mistake["loc"])[0] or "(whole file)"
    if mistake["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_allowed_keys(mistake['loc'][:-1]))}"
    if mistake["type"] == "missing":
        return f"{key}: missing"
    if mistake["type"] == "union_tag_invalid":
        allowed = str(mistake["ctx"]["expected_tags"]).replace("'", "")
        name = mistake["ctx"]["discriminator"].strip("'")
        return f"{key}.{name}: must be one of {allowed} (found {mistake['ctx']['tag']!r})"
    reason: str = mistake["msg"].removeprefix("Value error, ")
    if not mistake["loc"]:  # of the whole: it names the keys itself
        return reason
    found = "" if isinstance(mistake["input"], dict) else f" (found {mistake['input']!r})"
    return f"{key}: {reason}{found}"


def _follow(location: tuple[int | str, ...]) -> tuple[str, list[Any]]:
    """The key as a person writes it, and the section, or the choice of sections, that is there."""
    key: list[str] = []
    sections: list[Any] = [Params]
    for part in location:
        fields = getattr(sections[0], "model_fields", {})
        chosen = [section for section in sections if len(sections) > 1 and part in _names(section)]
        if chosen and part not in fields:  # one of a choice, by its name: no key
            sections = chosen
            continue
        key.append(str(part))
        if part in fields:
            annotation = fields[part].annotation
            # a list of sections (source.files), or a choice of them (augmentation)
            sections = list(getattr(annotation, "__args__", (annotation,)))
    return ".".join(key), sections


def _names(section: Any) -> tuple[Any, ...]:
    """What a section that is one of a choice may be called."""
    fields = getattr(section, "model_fields", {})
    field = fields.get("name") or fields.get("target")
    return get_args(field.annotation) if field else ()


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    return sorted(_follow(location)[1][0].model_fields)


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
