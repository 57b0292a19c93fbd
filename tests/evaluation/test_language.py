"""How surprising a text is: to the baseline, and in reports."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.config import Evaluation
from closedloop.data.examples import ID
from closedloop.errors import DataError
from closedloop.evaluation.answers import answers_of
from closedloop.evaluation.comparison import compare
from closedloop.evaluation.language import headline
from closedloop.evaluation.outcomes import Outcomes
from closedloop.targets import Text
from closedloop.tasks.texts.ngram_model import NGramModel

CONFIG = Evaluation(confidence=0.95, resamples=200, seed=0, calibration_bins=10)
WORDS = st.text("abc", min_size=1, max_size=30)


@given(st.lists(WORDS, min_size=1, max_size=4), st.text("abc", max_size=5), st.integers(1, 5))
def test_the_baseline_gives_the_characters_after_a_text_probabilities_that_add_up_to_one(
    training: list[str], begun: str, order: int
) -> None:
    model = NGramModel(training, order)
    alphabet = {*"".join(training), "?"}  # with one for all that are unknown
    if not set(begun) <= alphabet:
        return
    size = len(begun) + 1
    whole = model.nats([begun + character for character in sorted(alphabet)]) * size
    before = model.nats([begun])[0] * len(begun) if begun else 0.0
    assert np.exp(-(whole - before)).sum() == pytest.approx(1)


@given(st.lists(st.floats(0.1, 6), min_size=2, max_size=40))
def test_bits_and_perplexity_say_what_nats_say(nats: list[float]) -> None:
    found = headline(Outcomes([str(row) for row in range(len(nats))], "nats", np.array(nats)), CONFIG)
    for name, scale in (("bits", lambda one: one / np.log(2)), ("perplexity", np.exp)):
        for bound in ("value", "low", "high"):
            assert getattr(found[name], bound) == pytest.approx(scale(getattr(found["nats"], bound)), rel=1e-2)


def test_a_model_that_is_less_surprised_gains() -> None:
    ids, rng = [str(row) for row in range(60)], np.random.default_rng(0)
    champion = Outcomes(ids, "nats", rng.normal(2, 0.1, 60))
    found = compare(Outcomes(ids, "nats", champion.values - 0.2), champion, "nats", 0.95)
    assert found.gain == pytest.approx(0.2) and found.low > 0


@pytest.mark.parametrize("row", [-0.1, np.nan, np.inf])
def test_what_is_no_surprise_is_told(row: float) -> None:
    with pytest.raises(DataError, match="no surprise in nats"):
        answers_of(pa.table({ID: ["a"]}), np.array([[row]]), Text(65))


def test_rows_of_another_width_are_no_answers_of_a_text() -> None:
    with pytest.raises(DataError, match="do not belong together"):
        answers_of(pa.table({ID: ["a", "b"]}), np.ones((2, 3)), Text(65))


def test_a_text_has_no_label() -> None:
    assert Text(65).flaw("") is None and Text(65).flaw("a") is not None
    with pytest.raises(ValueError, match="no label"):
        Text(65).read("a")
