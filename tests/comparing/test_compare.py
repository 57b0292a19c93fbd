"""Runs side by side: what is said of them, of those that cannot be compared, and of names that nobody has checked."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from closedloop.comparing.comparison import SideBySide, side_by_side
from closedloop.comparing.figure import draw
from closedloop.comparing.page import page
from closedloop.comparing.text import text
from closedloop.errors import ConfigError
from closedloop.evaluation.comparison import compare
from closedloop.evaluation.predictions import Predictions
from closedloop.files import write_json
from closedloop.registry.records import latest_runs, named_runs
from closedloop.registry.runs import create_run, describe, log_dataset
from registered_digits import Registry, digits_params

EXAMPLES = 300


def predictions(accuracy: float) -> Predictions:
    """Answers of two classes, right as often as wanted; the same examples are hard for all."""
    labels = np.arange(EXAMPLES) % 2
    right = np.random.default_rng(1).random(EXAMPLES) < accuracy
    probabilities = np.where((right == (labels == 1))[:, None], [0.1, 0.9], [0.9, 0.1])
    return Predictions([f"e{i}" for i in range(EXAMPLES)], labels, probabilities, ["no", "yes"])


class Loaded(HTMLParser):
    """Tags of a page, and where they would load something from."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


@dataclass
class Runs:
    """A store to put runs into."""

    registry: Registry

    def add(
        self, *overrides: str, name: str = "run", accuracy: float | None = None, split: str = "same", keep: bool = True
    ) -> str:
        params = digits_params(*overrides)
        client = self.registry.client
        run = create_run(client, params, "train", name)
        describe(client, run.id, params)
        client.log_metric(run.id, "best/val_loss", 0.25)
        if accuracy is not None:
            log_dataset(run, params, "test", split, EXAMPLES)
            figure = {"value": accuracy, "low": accuracy - 0.04, "high": accuracy + 0.03, "method": "test"}
            write_json(Path("evaluation.json"), {"confidence": 0.95, "metrics": {"accuracy": figure}})
            predictions(accuracy).write(Path("predictions.parquet"))
            run.keep(Path("evaluation.json"), *([Path("predictions.parquet")] if keep else []))
        client.set_terminated(run.id)
        return run.id

    def compared(self, *ids: str) -> SideBySide:
        return side_by_side(named_runs(self.registry.params, ids), 0.95)


@pytest.fixture
def runs(registry: Registry) -> Runs:
    return Runs(registry)


def test_only_what_differs_is_listed_and_the_gain_is_the_paired_one(runs: Runs) -> None:
    a = runs.add(accuracy=0.7)
    b = runs.add("optimizer.lr=0.01", "model.filters=[8,8]", accuracy=0.9)
    found = runs.compared(a[:8], b)
    assert found.differing == {"optimizer.lr": ["0.003", "0.01"], "model.filters": ["32, 64, 64", "8, 8"]}
    expected = compare(predictions(0.9), predictions(0.7), "accuracy", 0.95)
    assert found.gains[0].figures[0] == expected
    assert expected.low > 0
    shown = text(found)
    assert re.search(r"optimizer\.lr +0\.003 +0\.01\n", shown)
    assert re.search(r"accuracy +A +0\.7000 +0\.6600 to 0\.7300\n +B +0\.9000", shown)
    assert re.search(r"B +accuracy +\+0\.\d+ +\+0\.\d+ to \+0\.\d+ +better", shown)


def test_with_several_runs_the_intervals_hold_together(runs: Runs) -> None:
    ids = [runs.add(accuracy=accuracy) for accuracy in (0.7, 0.75, 0.8)]
    two, three = runs.compared(*ids[:2]), runs.compared(*ids)
    assert [gain.letter for gain in three.gains] == ["B", "C"]
    assert three.gains[0].figures[0].confidence == pytest.approx(0.975)
    assert three.gains[0].figures[0].low < two.gains[0].figures[0].low


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"accuracy": None}, "B has kept no predictions of the test split"),
        ({"accuracy": 0.8, "keep": False}, "B has kept no predictions of the test split"),
        ({"accuracy": 0.8, "split": "other"}, "their test splits differ"),
    ],
)
def test_what_cannot_be_paired_is_a_gap_with_its_reason(runs: Runs, second: dict[str, Any], why: str) -> None:
    found = runs.compared(runs.add(accuracy=0.7), runs.add(**second))
    assert (found.gains[0].missing, found.gains[0].figures) == (why, ())
    assert f"not compared: {why}" in text(found)
    assert found.validation["loss"] == [0.25, 0.25]
    draw(found, Path("comparison.png"))
    assert why in page(found, "digits", Path("comparison.png"))


def test_runs_that_are_not_there_are_all_named_with_those_that_are(runs: Runs) -> None:
    a = runs.add(name="the one that is there")
    with pytest.raises(ConfigError) as raised:
        named_runs(runs.registry.params, [a, "0123456789abcdef", "9", "abc", a])
    said = str(raised.value)
    for name in ("0123456789abcdef", "9", "abc"):
        assert f"there is no run {name}: name an id of a run, its first 6 characters or more, or a version" in said
    assert f"{a[:8]} is named twice" in said
    assert f"{a[:8]}  the one that is there" in said


def test_a_run_of_another_task_and_one_that_was_deleted_are_refused(runs: Runs) -> None:
    client, a = runs.registry.client, runs.add()
    stranger = client.create_run(client.create_experiment("mnist"), tags={"closedloop.task": "mnist"}).info.run_id
    gone = runs.add()
    client.delete_run(gone)
    with pytest.raises(ConfigError) as raised:
        named_runs(runs.registry.params, [a, stranger, gone])
    assert f"{stranger} is of the task mnist, and the composed one is digits" in str(raised.value)
    assert f"{gone} has been deleted; `mlflow runs restore --run-id {gone}`" in str(raised.value)


def test_a_version_names_its_run(runs: Runs) -> None:
    a, b = runs.add(), runs.add()
    client = runs.registry.client
    version = client.create_model_version("digits", str(runs.registry.root), run_id=b).version
    found = named_runs(runs.registry.params, [a, str(version)])
    assert [record.id for record in found] == [a, b]
    assert [record.version for record in found] == [None, int(version)]


def test_the_latest_trainings_come_oldest_first_and_trials_are_none(runs: Runs) -> None:
    ids = [runs.add() for _ in range(3)]
    client, params = runs.registry.client, runs.registry.params
    client.set_terminated(create_run(client, params, "trial", "trial 1").id)
    create_run(client, params, "train", "still running")
    assert [record.id for record in latest_runs(params, 2)] == ids[1:]
    assert [record.id for record in latest_runs(params, 9)] == ids
    with pytest.raises(ConfigError, match="two to 26 runs can be compared, and not 1"):
        side_by_side(latest_runs(params, 1), 0.95)


def test_the_page_is_whole_by_itself_and_runs_nobody_elses_script(runs: Runs) -> None:
    evil = "<script>alert(1)</script><img src=https://example.com/x>"
    a = runs.add(name=evil, accuracy=0.7)
    b = runs.add(accuracy=0.9)
    found = runs.compared(a, b)
    draw(found, Path("comparison.png"))
    loaded = Loaded()
    loaded.feed(page(found, evil, Path("comparison.png")))
    assert not loaded.tags & {"script", "link", "iframe"}
    assert [source[:22] for source in loaded.sources] == ["data:image/png;base64,"]
