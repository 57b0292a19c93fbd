"""What a target makes of labels and of rows of answers."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.config.data import Task
from closedloop.errors import DataError
from closedloop.files import write_json
from closedloop.targets import (
    Action,
    Classes,
    Image,
    Number,
    Target,
    fit_target,
    load_target,
    of_task,
    said_of,
    save_target,
)
from closedloop.targets.strata import bars, strata

CLASSES = Classes(("no", "yes"))
NUMBER = Number.fit(["1", "2.5", "-4e1"], 0.9)
AMOUNTS = st.floats(-1e6, 1e6)
TASK = Task(name="x", kind="tables", title="x", target="number")


@pytest.mark.parametrize("target", [CLASSES, NUMBER])
def test_a_target_survives_its_file(target: Target, tmp_path: Path) -> None:
    save_target(target, tmp_path)
    assert load_target(tmp_path) == target


def test_a_version_from_before_there_were_numbers_has_its_classes_in_the_preprocessor(tmp_path: Path) -> None:
    write_json(tmp_path / "preprocessor.json", {"kind": "images", "classes": ["a", "b"], "height": 8})
    assert load_target(tmp_path) == Classes(("a", "b"))


def test_clients_are_told_what_a_target_has_to_tell() -> None:
    assert said_of(CLASSES) == {"classes": ["no", "yes"]}
    assert said_of(Image()) == {}


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"number": {"mean": 1}}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "target.json").write_text(content)
    with pytest.raises(DataError, match=r"target\.json"):
        load_target(tmp_path)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=2, unique=True), st.tuples(AMOUNTS, AMOUNTS, AMOUNTS))
def test_numbers_are_encoded_in_deviations_and_an_answer_survives_the_way_to_the_client(
    labels: list[int], row: tuple[float, float, float]
) -> None:
    target = Number.fit([repr(label) for label in labels], 0.8)
    encoded = target.encode([repr(label) for label in labels], {}).astype(float)
    assert abs(encoded.mean()) < 1e-3 and encoded.std() == pytest.approx(1, rel=1e-3)
    low, value, high = sorted(row)
    target.check_rows([[value, low, high]])
    assert target.row(target.shown([value, low, high])) == [value, low, high]
    prediction, width = target.logged([value, low, high])
    assert (float(prediction), width) == (value, high - low)
    assert target.flaw(prediction) is None


@pytest.mark.parametrize("label", ["", "abc", "nan", "inf", "-Infinity", "1_000", "1,5", "0x10", "1" * 41])
def test_what_is_no_number_is_said_to_be_none(label: str) -> None:
    assert NUMBER.flaw(label) == "no finite number"


def test_labels_of_requests_become_text() -> None:
    assert [NUMBER.read(label) for label in (3, 2.5, "7")] == ["3", "2.5", "7"]
    for wrong in (True, None, [1], {"a": 1}):
        with pytest.raises(ValueError, match="expected a number"):
            NUMBER.read(wrong)
    with pytest.raises(ValueError, match="expected a string"):
        CLASSES.read(1)


def test_labels_that_a_network_cannot_tell_apart_are_one_value() -> None:
    with pytest.raises(DataError, match="one value only"):
        Number.fit(["1e9", "1000000000.001"], 0.9)


@pytest.mark.parametrize("row", [[math.nan, 0, 1], [2, 0, 1], [0, -math.inf, 1], [0, 1, 2], [0.5, 0, math.nan]])
def test_rows_that_are_no_answers_are_refused(row: list[float]) -> None:
    with pytest.raises(DataError, match="finite numbers with an interval"):
        NUMBER.check_rows([[0.5, 0, 1], row])


def test_a_target_of_one_value_cannot_be_learnt() -> None:
    with pytest.raises(DataError, match="one value only"):
        fit_target(TASK, ["3", "3.0"], {})


def test_a_label_contradicts_a_sure_answer_only() -> None:
    assert CLASSES.contradicts("no", "yes", [0.005, 0.995]) is True
    assert CLASSES.contradicts("yes", "yes", [0.005, 0.995]) is False
    assert CLASSES.contradicts("no", "yes", [0.4, 0.6]) is None
    assert [NUMBER.contradicts(label, "5", [5, 4, 6]) for label in ("5", "7.9", "8.1", "1.9")] == [
        False,
        False,
        True,
        True,
    ]


@given(st.lists(AMOUNTS, min_size=1, max_size=40), st.lists(AMOUNTS, max_size=10), st.booleans())
def test_groups_hold_every_label_once_and_later_ones_move_no_group(
    base: list[float], later: list[float], to_look_at: bool
) -> None:
    cut = bars if to_look_at else strata
    labels = [repr(value) for value in (*base, *later)]
    ours = [True] * len(base) + [False] * len(later)
    found = cut(TASK, [*labels, "none"], [*ours, True])
    assert sum(found.counts().values()) == len(labels) + 1
    assert found.of[-1] == "none" and set(found.of[:-1]) <= set(found.names)
    alone = cut(TASK, labels[: len(base)], ours[: len(base)])
    assert alone.names == found.names and alone.of == found.of[: len(base)]


def test_groups_of_classes_are_the_classes() -> None:
    task = Task(name="x", kind="tables", title="x", classes=["no", "yes"])
    found = strata(task, ["yes", "maybe"], [True, True])
    assert found.counts() == {"no": 0, "yes": 1, "maybe": 1}
    assert found.counts(np.array([True, False])) == {"no": 0, "yes": 1}
    assert of_task(task) == CLASSES


def test_a_client_is_told_what_the_shares_of_actions_are() -> None:
    """Those of Q-learning are no probabilities."""
    schema = Action(("left", "right")).answer_schema()
    for name in ("confidence", "probabilities"):
        assert "in Q-learning" in schema[name]["description"]
    assert "description" not in CLASSES.answer_schema()["probabilities"]
