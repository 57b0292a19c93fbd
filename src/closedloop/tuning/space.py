"""What a search may vary: keys of the configuration with their ranges, checked before anything is trained."""

import difflib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ValidationError, model_validator

from closedloop.config import Params, parse
from closedloop.errors import ConfigError
from closedloop.nested import flatten, put
from closedloop.section import Section

# what the training stage depends on; another key would have the stages before it run anew for each trial
SECTIONS = {"model", "augmentation", "optimizer", "scheduler", "trainer"}
REFUSED = {
    "model.name": "each network has keys of its own: search them one by one, with ARGS=model=…, and compare",
    "augmentation.name": "each augmentation has keys of its own: search them one by one, with ARGS=augmentation=…",
    "trainer.threads": "it changes the time that a training takes, and not what comes of it",
    "trainer.accelerator": "it changes the time that a training takes, and not what comes of it",
}
WORDS = {"low", "high", "log", "step", "choice"}  # of distributions; no key of the configuration is called so
Values = dict[str, Any]  # by key, as in the configuration


class Range(Section):
    """Numbers from low to high, both of them included."""

    low: float
    high: float
    log: bool = False  # by order of magnitude
    step: float | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must lie below high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 with log: true (found {self.low:g})")
        if self.step is not None and (self.log or not 0 < self.step <= self.high - self.low):
            raise ValueError("step must lie above 0, within the range, and does not go with log: true")
        return self


class Choice(Section):
    """One of some values."""

    choice: list[Any]

    @model_validator(mode="after")
    def _several(self) -> Self:
        names = [encoded(value) for value in self.choice]
        if len(names) < 2 or len(set(names)) != len(names):
            raise ValueError("choice must list at least two values, each once")
        return self


Space = dict[str, Range | Choice]


def encoded(value: Any) -> str | float | bool | None:
    """A value as Optuna keeps it among others to choose from: a list as JSON text, everything else as it is."""
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def read_space(params: Params) -> Space:
    """The search space of a configuration, by key.

    Raises ConfigError with every mistake: a key that does not exist, with those that come near; one that is not
    searched; a distribution that is none, or that the configuration does not allow.
    """
    found = flatten(params.tune.space, is_leaf=_is_distribution)
    if not found:
        name = params.model.name
        raise ConfigError(
            f"there is nothing to search: tune.space is empty. Write conf/tune/{name}.yaml, as conf/tune/cnn.yaml is "
            "written, or name keys with ARGS='tune.space.optimizer.lr={low:0.001,high:0.01,log:true}'"
        )
    known = configured(params)
    space: Space = {}
    mistakes: list[str] = []
    for key, content in found.items():
        wrong = _key_mistake(key, known)
        if wrong:
            mistakes.append(f"tune.space.{key}: {wrong}")
            continue
        try:
            space[key] = _distribution(content, known[key])
        except ValidationError as error:
            mistakes += [_described(key, mistake) for mistake in error.errors()]
        except ValueError as error:
            mistakes.append(f"tune.space.{key}: {error}")
        else:
            mistakes += _refused_values(params, key, space[key])
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError(f"the search space has {count}:\n" + "\n".join(f"  - {line}" for line in mistakes))
    return space


def configured(params: Params) -> Values:
    """Every key that could be searched, with its value in the configuration."""
    return flatten(params.model_dump(include=SECTIONS))


def with_values(params: Params, values: Mapping[str, Any]) -> Params:
    """The configuration with other values for some keys; raises ConfigError when it does not allow them."""
    content = params.model_dump()
    for key, value in values.items():
        put(content, key, value)
    return parse(content, "the configuration of this trial")


def holds(space: Space, values: Values) -> bool:
    """Whether the values lie within the space, so that a trial can have them."""
    return all(_within(distribution, values[key]) for key, distribution in space.items())


def _within(distribution: Range | Choice, value: Any) -> bool:
    if isinstance(distribution, Choice):
        return encoded(value) in [encoded(one) for one in distribution.choice]
    steps = (value - distribution.low) / distribution.step if distribution.step else 0.0
    return bool(distribution.low <= value <= distribution.high and abs(steps - round(steps)) < 1e-9)


def _is_distribution(content: Mapping[str, Any]) -> bool:
    return not WORDS.isdisjoint(content)


def _key_mistake(key: str, known: Values) -> str:
    section = key.partition(".")[0]
    if key in REFUSED:
        return f"is not searched: {REFUSED[key]}"
    if key in known:
        return ""
    if section == "preprocess":
        return (
            "is not searched: every trial would need data of its own; prepare them with make params, and search again"
        )
    if section == "seed":
        return "is not searched: the best seed is the luckiest one, and no setting"
    if section in Params.model_fields and section not in SECTIONS:
        return f"is not searched: it does not change the training. Searched are {', '.join(sorted(SECTIONS))}"
    near = difflib.get_close_matches(key, known, n=3)
    nearest = f"do you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"unknown key; {nearest}"


def _distribution(content: Any, value: Any) -> Range | Choice:
    """What a space says of a key whose configured value is `value`."""
    if not isinstance(content, Mapping):
        raise ValueError("must be {low: …, high: …} or {choice: […]}" + f" (found {content!r})")
    if "choice" in content:
        return Choice.model_validate(content)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"has no numbers between two others ({value!r}): give it a choice")
    found = Range.model_validate(content)
    if isinstance(value, int):
        parts = {"low": found.low, "high": found.high, "step": found.step or 1}
        broken = [name for name, part in parts.items() if part != int(part)]
        if broken:
            raise ValueError(f"is a whole number: so must be {', '.join(broken)}")
    return found


def _described(key: str, mistake: Any) -> str:
    name = ".".join(["tune.space", key, *map(str, mistake["loc"])])
    if mistake["type"] == "extra_forbidden":
        return f"{name}: unknown; a range has low, high, log and step, a choice has choice"
    return f"{name}: {mistake['msg'].removeprefix('Value error, ')}"


def _refused_values(params: Params, key: str, distribution: Range | Choice) -> list[str]:
    """What the configuration says to the ends of a range and to each choice; how keys go together shows in a trial."""
    number = type(configured(params)[key])
    if isinstance(distribution, Choice):
        values = distribution.choice
    else:
        values = [number(distribution.low), number(distribution.high)]
    lines = []
    for value in values:
        try:
            with_values(params, {key: value})
        except ConfigError as error:
            own = [line.removeprefix("  - ") for line in str(error).splitlines()[1:]]
            lines += [f"tune.space.{line}" for line in own if line.startswith((f"{key}:", f"{key}."))]
    return lines
