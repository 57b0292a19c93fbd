"""Descriptors mean what they say, on sounds of any length and content."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sounding import RATE, Samples, speech, tone

from closedloop.tasks.sounds.descriptors import describe


def of(samples: Samples, rate: int = RATE) -> dict[str, float]:
    return {str(name): float(value) for name, value in describe([(samples, rate)]).iloc[0].items()}


@settings(deadline=None, max_examples=60)
@given(st.lists(arrays(np.int16, st.integers(1, 900)), min_size=1, max_size=3))
def test_whatever_the_sound_each_column_is_a_finite_number_in_its_range(sounds: list[Samples]) -> None:
    described = describe([(sound, RATE) for sound in sounds])
    assert len(described) == len(sounds)
    assert (described.dtypes == np.float64).all()
    assert np.isfinite(described.to_numpy()).all()
    shares = described[["clipped_share", "crossings", "low_share", "silence_share"]].to_numpy()
    assert shares.min() >= 0 and shares.max() <= 1 + 1e-9
    for name in ("centroid", "bandwidth", "rolloff"):
        assert described[name].between(0, RATE / 2).all()
    assert (described[["loudness", "peak", "noise_floor"]] <= 1e-9).all().all()


def test_no_sounds_give_no_rows_and_all_columns() -> None:
    assert list(describe([])) == list(describe([(tone(), RATE)]))
    assert len(describe([])) == 0


def test_a_tone_is_described_by_its_length_pitch_and_level() -> None:
    steady = np.asarray(16384 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), np.int16)
    found = of(steady)
    assert found["duration"] == 1
    assert found["peak"] == pytest.approx(-6.02, abs=0.05)
    assert found["crest"] == pytest.approx(3.01, abs=0.05)
    assert found["centroid"] == pytest.approx(1000, abs=5)
    assert found["rolloff"] == pytest.approx(1000, abs=32)
    assert found["crossings"] == pytest.approx(0.25, abs=0.01)
    assert found["dynamics"] < 0.1


@pytest.mark.parametrize(
    ("column", "change", "sign"),
    [
        ("loudness", lambda s: s // 4, -1),
        ("peak", lambda s: s // 4, -1),
        ("clipped_share", lambda s: np.clip(s, -900, 900), 1),
        ("crest", lambda s: np.clip(s, -900, 900), -1),
        ("offset", lambda s: s + 500, 1),
        ("duration", lambda s: s[: len(s) // 2], -1),
        ("silence_share", lambda s: np.concatenate([s, np.zeros(len(s))]), 1),
        ("noise_floor", lambda s: s + np.random.default_rng(0).normal(0, 300, len(s)), 1),
        ("flatness", lambda s: s + np.random.default_rng(0).normal(0, 300, len(s)), 1),
        ("dynamics", lambda s: s + np.random.default_rng(0).normal(0, 300, len(s)), -1),
        ("high_level", lambda s: s + np.random.default_rng(0).normal(0, 300, len(s)), 1),
        ("centroid", lambda s: np.diff(s, append=0), 1),
        ("rolloff", lambda s: np.diff(s, append=0), 1),
        ("low_share", lambda s: np.diff(s, append=0), -1),
        ("crossings", lambda s: np.diff(s, append=0), 1),
    ],
)
def test_what_a_column_is_about_moves_it(column: str, change: object, sign: int) -> None:
    words = speech(8)
    changed = [np.asarray(change(word.astype(float)), np.int16) for word in words]  # type: ignore[operator]
    before, after = (describe([(one, RATE) for one in some])[column] for some in (words, changed))
    assert (sign * (after - before) > 0).all()
