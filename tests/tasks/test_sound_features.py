"""Spectrograms: where a tone stands, that loudness does not matter, and that sounds do not touch each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounding import RATE, Samples, table, tone

from closedloop.tasks.sounds.features import LogMel
from closedloop.tasks.sounds.task import TASK

LOG_MEL = LogMel(RATE, window=256, hop=80, mels=40, low_hz=50, range_db=60, frames=100)


def test_a_higher_tone_stands_in_a_higher_band() -> None:
    pictures = LOG_MEL.pictures([tone(hz) for hz in (150, 300, 600, 1200, 2400, 3700)])
    bands = pictures.max(axis=2).argmax(axis=1)
    assert (np.diff(bands) > 0).all()
    assert bands[0] < 5 and bands[-1] >= 37


@settings(deadline=None, max_examples=25)
@given(st.floats(0.1, 1))
def test_loudness_is_left_out(level: float) -> None:
    loud, soft = LOG_MEL.pictures([tone(level=0.9), tone(level=0.9 * level)])
    assert np.abs(loud - soft).max() < 0.02


def test_silence_before_and_after_is_left_out() -> None:
    word = tone()
    padded = np.concatenate([np.zeros(8000, np.int16), word, np.zeros(1600, np.int16)])
    alone, late = LOG_MEL.pictures([word, padded])
    assert np.abs(alone - late).mean() < 1e-3


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=5), st.sampled_from([(256, 80), (256, 256), (101, 33)]))
def test_a_sound_looks_alike_whichever_stand_beside_it(lengths: list[int], size: tuple[int, int]) -> None:
    log_mel = LogMel(RATE, *size, mels=24, low_hz=0, range_db=60, frames=40)
    rng = np.random.default_rng(0)
    sounds: list[Samples] = [rng.integers(-9000, 9000, length, np.int16) for length in lengths]
    together = log_mel.pictures(sounds)
    assert together.min() >= 0 and together.max() <= 1
    for sound, picture, whole in zip(sounds, together, log_mel.spectrograms(sounds), strict=True):
        assert np.allclose(log_mel.pictures([sound])[0], picture, atol=1e-4)
        assert whole.shape == (-(-len(sound) // size[1]), 24)


def test_silence_is_nothing_and_no_warning() -> None:
    assert not LOG_MEL.pictures([np.zeros(1000, np.int16), np.zeros(1, np.int16)]).any()
    assert LOG_MEL.pictures([]).shape == (0, 40, 100)


@pytest.mark.parametrize("seconds", [0.01, 0.4, 1.0, 3.0, 9.9])
def test_a_person_sees_a_square_with_low_tones_at_the_bottom_and_the_whole_recording(seconds: float) -> None:
    sounds = [np.concatenate([tone(200, seconds / 2), tone(3000, seconds / 2)])]
    picture = TASK.look(table(sounds), 0)
    assert picture.shape == (64, 64) and picture.dtype == np.uint8
    if seconds > 0.1:
        low, high = picture[40:].sum(axis=0, dtype=int), picture[:24].sum(axis=0, dtype=int)
        places = np.arange(64)
        assert (low @ places) / low.sum() < (high @ places) / high.sum()
