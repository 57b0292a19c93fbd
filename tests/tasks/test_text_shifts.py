"""Shifts of texts: repeatable, stronger with severity, seen by the descriptors that are about them."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import HAM, SPAM, table
from scipy.stats import ks_2samp

from closedloop.errors import ConfigError, DataError
from closedloop.tasks.schema import KINDS
from closedloop.tasks.texts.descriptors import COLUMNS, describe
from closedloop.tasks.texts.request import texts
from closedloop.tasks.texts.shifts import CORRUPTIONS, shift

SCENARIOS = KINDS["texts"].scenarios


@pytest.fixture(scope="module")
def examples() -> pa.Table:
    rows = [(text, "ham") for text in HAM for _ in range(25)] + [(text, "spam") for text in SPAM for _ in range(8)]
    return table([f"{text} {row}" for row, (text, _) in enumerate(rows)], [label for _, label in rows])


def shifted(examples: pa.Table, scenario: str, severity: int, seed: int = 0) -> pa.Table:
    return shift(examples, scenario, severity, np.random.default_rng(seed))


def of(text: str) -> dict[str, float]:
    return {str(name): float(value) for name, value in describe([text]).iloc[0].items()}


def test_none_changes_nothing(examples: pa.Table) -> None:
    assert shifted(examples, "none", 5).equals(examples)


def test_the_scenarios_are_those_of_the_configuration() -> None:
    assert (*CORRUPTIONS, "imbalance") == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_generator_gives_the_same_shift_of_the_same_form(examples: pa.Table, scenario: str) -> None:
    first, again = (shifted(examples, scenario, 3, seed=1) for _ in range(2))
    assert first.equals(again) and not first.equals(examples)
    assert first.schema == examples.schema and first.num_rows == examples.num_rows


@pytest.mark.parametrize(
    ("scenario", "column"),
    [
        ("typos", "frequent_words"),
        ("shouting", "upper_share"),
        ("truncation", "characters"),
        ("obfuscation", "mixed_words"),
        ("homoglyphs", "non_ascii_share"),
    ],
)
def test_corruptions_leave_ids_and_labels_alone_and_move_their_column_further_with_severity(
    examples: pa.Table, scenario: str, column: str
) -> None:
    before, moved = describe(texts(examples))[column], []
    for severity in range(1, 6):
        found = shifted(examples, scenario, severity)
        assert found.drop_columns(["text"]).equals(examples.drop_columns(["text"]))
        moved.append(abs(float((describe(texts(found))[column] - before).mean())))
    assert moved[0] > 0
    assert all(weaker < stronger for weaker, stronger in pairwise(moved))
    assert ks_2samp(describe(texts(shifted(examples, scenario, 3)))[column], before).statistic > 0.25


def test_imbalance_is_a_wave_of_the_rarest_class_that_grows_with_severity(examples: pa.Table) -> None:
    def share(severity: int) -> float:
        labels = shifted(examples, "imbalance", severity).column("label").to_pylist()
        return labels.count("spam") / len(labels)

    assert all(less < more for less, more in pairwise([24 / 174, *map(share, range(1, 6))]))
    with pytest.raises(DataError, match="needs a label"):
        shifted(examples.drop_columns(["label"]), "imbalance", 3)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), st.integers(1, 5))
def test_whatever_the_text_a_shifted_one_can_be_sent_and_described(text: str, severity: int) -> None:
    for scenario in CORRUPTIONS:
        (found,) = texts(shifted(table([text]), scenario, severity))
        assert found
        described = describe([found])
        assert np.isfinite(described.to_numpy()).all() and (described.to_numpy() >= 0).all()


def test_an_unknown_scenario_or_severity_is_told_the_known_ones(examples: pa.Table) -> None:
    with pytest.raises(ConfigError, match=r"none, typos, .*, imbalance, not 'blur'"):
        shifted(examples, "blur", 3)
    with pytest.raises(ConfigError, match="from 1 to 5"):
        shifted(examples, "typos", 6)


def test_descriptors_mean_what_they_say() -> None:
    found = of("Call NOW 09061234567, it is w0n! www.prize.co.uk €")
    assert found["characters"] == 50
    assert found["words"] == 10  # the address is four of them
    assert found["longest_word"] == 11
    assert found["digit_share"] == pytest.approx(12 / 50)
    assert found["upper_share"] == pytest.approx(4 / 25)
    assert found["punctuation_share"] == pytest.approx(6 / 50)
    assert found["space_share"] == pytest.approx(7 / 50)
    assert found["non_ascii_share"] == pytest.approx(1 / 50)
    assert found["mixed_words"] == pytest.approx(1 / 10)
    assert found["frequent_words"] == pytest.approx(3 / 10)  # now, it, is
    assert (found["links"], found["long_numbers"]) == (1, 1)
    assert of("aab")["repeated_share"] == pytest.approx(1 / 3)
    assert of("beau")["vowel_share"] == pytest.approx(3 / 4)


def test_no_texts_give_no_rows_and_all_columns() -> None:
    described = describe([])
    assert len(described) == 0 and list(described) == COLUMNS
    assert set(of(" ").values()) == {0.0, 1.0}
