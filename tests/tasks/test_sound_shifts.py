"""Shifts of sounds: repeatable, stronger with severity, seen by the descriptors that are about them."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp
from sounding import RATE, speech, table

from closedloop.errors import ConfigError, DataError
from closedloop.tasks.schema import KINDS
from closedloop.tasks.sounds.descriptors import describe
from closedloop.tasks.sounds.request import sounds
from closedloop.tasks.sounds.shifts import CORRUPTIONS, shift

SCENARIOS = KINDS["sounds"].scenarios


@pytest.fixture(scope="module")
def examples() -> pa.Table:
    return table(speech(120))


def shifted(examples: pa.Table, scenario: str, severity: int, seed: int = 0) -> pa.Table:
    return shift(examples, scenario, severity, np.random.default_rng(seed))


def test_none_changes_nothing(examples: pa.Table) -> None:
    assert shifted(examples, "none", 5).equals(examples)


def test_the_scenarios_are_those_of_the_configuration() -> None:
    assert (*CORRUPTIONS, "imbalance") == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_generator_gives_the_same_shift_of_the_same_form(examples: pa.Table, scenario: str) -> None:
    first, again = (shifted(examples, scenario, 3, seed=1) for _ in range(2))
    assert first.equals(again) and not first.equals(examples)
    assert first.schema == examples.schema and first.num_rows == examples.num_rows
    assert {rate for _, rate in sounds(first)} == {RATE}


@pytest.mark.parametrize(
    ("scenario", "column"),
    [
        ("noise", "flatness"),
        ("quiet", "loudness"),
        ("clipping", "clipped_share"),
        ("telephone", "low_share"),
        ("speed", "duration"),
        ("reverberation", "decay"),
    ],
)
def test_corruptions_leave_ids_and_labels_alone_and_move_their_column_further_with_severity(
    examples: pa.Table, scenario: str, column: str
) -> None:
    before, moved = describe(sounds(examples))[column], []
    for severity in range(1, 6):
        table = shifted(examples, scenario, severity)
        assert table.drop_columns(["audio"]).equals(examples.drop_columns(["audio"]))
        moved.append(abs(float((describe(sounds(table))[column] - before).mean())))
    assert all(weaker <= stronger for weaker, stronger in pairwise(moved))
    assert ks_2samp(describe(sounds(shifted(examples, scenario, 4)))[column], before).statistic > 0.3


def test_imbalance_favours_a_few_classes_more_with_severity(examples: pa.Table) -> None:
    def favoured(severity: int) -> float:
        found = shifted(examples, "imbalance", severity).column("label").to_pylist()
        return float(np.sort(np.unique(found, return_counts=True)[1])[-3:].sum()) / len(found)

    assert favoured(1) < favoured(3) < favoured(5)
    with pytest.raises(DataError, match="needs a label"):
        shifted(examples.drop_columns(["label"]), "imbalance", 3)


def test_silence_and_a_single_sample_survive_every_corruption() -> None:
    odd = table([np.zeros(100, np.int16), np.ones(1, np.int16), np.full(50, -32768, np.int16)])
    for scenario in CORRUPTIONS:
        assert all(len(sound) for sound, _ in sounds(shifted(odd, scenario, 5)))


def test_an_unknown_scenario_or_severity_is_told_the_known_ones(examples: pa.Table) -> None:
    with pytest.raises(ConfigError, match=r"none, noise, quiet, .*, imbalance, not 'blur'"):
        shifted(examples, "blur", 3)
    with pytest.raises(ConfigError, match="from 1 to 5"):
        shifted(examples, "noise", 6)
