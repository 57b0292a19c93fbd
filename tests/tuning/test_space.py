"""What a search may vary: every mistake is named before anything is trained."""

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop import composition
from closedloop.config import Params, parse
from closedloop.errors import ConfigError
from closedloop.nested import put
from closedloop.tasks.schema import KINDS, ONLY_FOR
from closedloop.tuning.space import configured, holds, read_space, with_values

CONF = Path(__file__).parents[2] / "conf"


@functools.cache  # Hydra takes a third of a second
def composed(task: str, model: str) -> str:
    return yaml.safe_dump(composition.compose(task, [f"model={model}"] if model else [], CONF))


def params(changes: dict[str, Any] | None = None, task: str = "digits", model: str = "") -> Params:
    """A task's configuration with some keys changed."""
    content = yaml.safe_load(composed(task, model))
    for key, value in (changes or {}).items():
        put(content, key, value)
    return parse(content, "test")


def mistakes(space: dict[str, Any]) -> str:
    """What is said of a space with some keys changed."""
    with pytest.raises(ConfigError) as raised:
        read_space(params({f"tune.space.{key}": value for key, value in space.items()}))
    return str(raised.value)


@pytest.mark.parametrize("model", sorted(path.stem for path in (CONF / "tune").glob("*.yaml")))
def test_every_shipped_space_can_be_searched_and_holds_what_the_network_is_configured_with(model: str) -> None:
    tasks = {path.stem: yaml.safe_load(path.read_text())["task"] for path in (CONF / "task").glob("*.yaml")}
    network = yaml.safe_load((CONF / "model" / f"{model}.yaml").read_text())["name"]
    target = next((its for its, choices in ONLY_FOR.items() if choices["model.name"] == network), None)
    task = next(
        name
        for name, task in sorted(tasks.items())
        if network in KINDS[task["kind"]].models and target in (None, task.get("target"))
    )
    found = params(task=task, model=model)
    assert holds(read_space(found), configured(found))


@pytest.mark.parametrize(
    ("key", "content", "said"),
    [
        ("optimizer.learn_rate", {"choice": [1, 2]}, "or optimizer.lr"),
        ("optimiser.lr", {"choice": [1, 2]}, "unknown key; do you mean optimizer.lr"),
        ("preprocess.seed", {"choice": [1, 2]}, "is not searched: every trial would need data of its own"),
        ("seed", {"choice": [1, 2]}, "is not searched: the best seed is the luckiest one"),
        ("gate.min_gain", {"choice": [1, 2]}, "is not searched: it does not change the training"),
        ("model.name", {"choice": ["cnn", "mlp"]}, "is not searched: each network has keys of its own"),
        ("optimizer.lr", {"low": 1, "high": 1000}, "Input should be less than or equal to 100"),
        ("optimizer.lr", {"low": 1, "high": 0.02}, "low (1) must lie below high (0.02)"),
        ("optimizer.lr", {"low": 0, "high": 1, "log": True}, "low must be above 0 with log: true"),
        ("model.padding", {"low": 0, "high": 1}, "has no numbers between two others"),
        ("model.padding", {"choice": ["same", "none"]}, "Input should be 'auto', 'valid' or 'same'"),
        ("model.filters", {"choice": [[8, 0], [8]]}, "Input should be greater than or equal to 1 (found 0)"),
        ("model.dense", {"choice": [[8], [8]]}, "choice must list at least two values, each once"),
        ("model.pooled_layers", {"low": 0, "high": 1.5}, "is a whole number: so must be high"),
        ("optimizer.momentum", {"lower": 0, "high": 0.5}, "unknown; a range has low, high, log and step"),
        ("trainer.max_epochs", 5, "must be {low: …, high: …} or {choice: […]} (found 5)"),
    ],
)
def test_a_key_or_a_distribution_that_is_none_is_named_with_what_is_allowed(key: str, content: Any, said: str) -> None:
    told = mistakes({key: content})
    assert f"tune.space.{key}" in told
    assert said in told


def test_all_mistakes_are_told_at_once() -> None:
    said = mistakes({"model.drop": 1, "seed": {"choice": [1, 2]}, "optimizer.lr.low": 1})
    assert "the search space has 3 mistakes" in said


def test_a_network_without_a_space_is_told_which_file_to_write() -> None:
    with pytest.raises(ConfigError, match=r"tune\.space is empty\. Write conf/tune/cnn\.yaml"):
        read_space(params({"tune.space": {}}))


def test_a_configuration_outside_its_own_space_is_noticed() -> None:
    found = params({"optimizer.lr": 0.5})
    assert not holds(read_space(found), configured(found))


@settings(max_examples=25, deadline=None)
@given(lr=st.floats(1e-6, 1), filters=st.lists(st.integers(1, 64), min_size=1, max_size=3), epochs=st.integers(1, 99))
def test_other_values_change_their_keys_and_nothing_else(lr: float, filters: list[int], epochs: int) -> None:
    before = params()
    values = {"optimizer.lr": lr, "model.filters": filters, "trainer.max_epochs": epochs}
    after = with_values(before, values)
    assert {key: configured(after)[key] for key in values} == values
    assert with_values(after, {key: configured(before)[key] for key in values}) == before
