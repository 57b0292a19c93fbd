"""A person's choice of champion, made while another model was in training, stands against the gate."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from closedloop.config import Params
from closedloop.files import write_json
from closedloop.paths import Paths
from closedloop.registration import register
from closedloop.registry import aliases
from closedloop.registry.store import connect

PATHS = Paths("digits")
LOW_FLOORS = {"min_accuracy": 0.2, "min_macro_f1": 0.1, "min_class_recall": 0, "max_calibration_error": 1}
HOUR = 3_600_000  # milliseconds


def training_begun(params: Params, ago: int) -> None:
    """The trained model comes from a run that began so many milliseconds ago."""
    client = connect(params)
    experiment = client.get_experiment_by_name("digits").experiment_id
    run = client.create_run(experiment, start_time=int(time.time() * 1000) - ago)
    write_json(PATHS.run, {"run_id": run.info.run_id, "seconds": 1.0})


@pytest.mark.parametrize(("moved", "promoted"), [(aliases.BY_HAND, False), ("a gain of +0.1", True)])
def test_a_champion_chosen_by_hand_since_the_training_began_stays(
    use_model: Callable[[str], None],
    use_champion: Callable[[str], None],
    params_with: Callable[..., Params],
    moved: str,
    promoted: bool,
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("bad")
    use_model("good")
    training_begun(params, HOUR)
    aliases.move_champion(connect(params), "digits", 1, moved)
    receipt = register(params, PATHS)
    assert (receipt["verdict"], receipt["champion"]) == (("promoted", 2) if promoted else ("refused", 1))
    if not promoted:
        assert receipt["reasons"][0].startswith("version 1 was made champion by hand at 20")
        assert "`make promote VERSION=2` puts this version in its place" in receipt["reasons"][0]


def test_a_training_begun_after_the_choice_is_judged_by_the_gate(
    use_model: Callable[[str], None],
    use_champion: Callable[[str], None],
    params_with: Callable[..., Params],
    project: Path,  # noqa: ARG001  the folder
) -> None:
    params = params_with(gate=LOW_FLOORS)
    use_champion("bad")
    aliases.move_champion(connect(params), "digits", 1, aliases.BY_HAND)
    use_model("good")
    training_begun(params, -HOUR)
    assert register(params, PATHS)["champion"] == 2
