"""Shifts sounds on purpose, as they would arrive after the world has changed."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.data.examples import LABEL
from closedloop.errors import ConfigError, DataError
from closedloop.tasks.imbalance import imbalanced_rows
from closedloop.tasks.sounds.request import sounds, with_sounds
from closedloop.tasks.sounds.wav import resample, to_samples

Levels = NDArray[np.float64]

# Strength by severity 1 to 5. The first is at the edge of what a person notices, at the third a word is understood
# without effort, at the fifth hardly.
NOISE = (30, 24, 18, 10, 3)  # decibels by which the sound is louder than the white noise
QUIET = (4, 8, 14, 22, 32)  # decibels that are lost
CLIPPING = (0.7, 0.5, 0.3, 0.15, 0.06)  # of a recording's peak, beyond which samples are cut off
TELEPHONE = (0.60, 0.75, 1.0, 1.6, 2.4)  # how far the lower edge of 300 Hz moves up, and the upper of 3400 Hz down
SPEED = (1.08, 1.15, 1.25, 1.40, 1.65)  # times as fast, and as high
REVERBERATION = (0.08, 0.15, 0.3, 0.6, 1.2)  # seconds in which the echo falls by 60 dB
IMBALANCE = (0.15, 0.30, 0.45, 0.65, 0.85)  # share of the rows that is redrawn from the few favoured classes


def shift(examples: pa.Table, scenario: str, severity: int, rng: np.random.Generator) -> pa.Table:
    """Return as many examples as they would arrive in a scenario at a severity from 1 to 5; `none` changes nothing.

    Raises ConfigError for an unknown scenario or severity, DataError when imbalance finds an example without a label.
    """
    if scenario == "none":
        return examples
    if severity not in range(1, 6):
        raise ConfigError(f"traffic.severity must be from 1 to 5, not {severity}")
    if scenario == "imbalance":
        if LABEL not in examples.column_names or examples.column(LABEL).null_count:
            raise DataError("traffic.scenario imbalance needs a label for every example; choose another scenario")
        return examples.take(imbalanced_rows(examples.column(LABEL).to_pylist(), IMBALANCE[severity - 1], rng))
    if scenario not in CORRUPTIONS:
        raise ConfigError(
            f"traffic.scenario must be one of none, {', '.join(CORRUPTIONS)}, imbalance, not {scenario!r}"
        )
    corrupt, strengths = CORRUPTIONS[scenario]
    found = sounds(examples)
    changed = [to_samples(corrupt(samples / 32768, rate, strengths[severity - 1], rng)) for samples, rate in found]
    return with_sounds(examples, changed, found[0][1]) if found else examples


def _noise(levels: Levels, _rate: int, decibels: float, rng: np.random.Generator) -> Levels:
    deviation = np.sqrt(np.mean(levels**2)) * 10 ** (-decibels / 20)
    return np.asarray(levels + deviation * rng.standard_normal(len(levels)))


def _quiet(levels: Levels, _rate: int, decibels: float, _rng: np.random.Generator) -> Levels:
    return np.asarray(levels * 10 ** (-decibels / 20))


def _clipping(levels: Levels, _rate: int, share: float, _rng: np.random.Generator) -> Levels:
    """Cut the peaks off, then as loud as before at the top: a microphone that is driven too hard."""
    peak = np.abs(levels).max()
    return np.asarray(np.clip(levels, -share * peak, share * peak) / share)


def _telephone(levels: Levels, rate: int, narrow: float, _rng: np.random.Generator) -> Levels:
    """Let the band of a telephone pass, with edges of an octave's fourth order (Butterworth's magnitude)."""
    low, high = 300 * narrow, 3400 / max(narrow, 1.0) ** 0.8
    frequency = np.maximum(np.fft.rfftfreq(len(levels), 1 / rate), 1e-3)
    gain = 1 / np.sqrt((1 + (low / frequency) ** 8) * (1 + (frequency / high) ** 8))
    return np.fft.irfft(np.fft.rfft(levels) * gain, len(levels))


def _speed(levels: Levels, _rate: int, factor: float, _rng: np.random.Generator) -> Levels:
    """Played too fast: shorter and higher."""
    return resample(levels, round(1000 * factor), 1000)


def _reverberation(levels: Levels, rate: int, seconds: float, rng: np.random.Generator) -> Levels:
    """A room whose echoes are noise that decays (Moorer, 1979), as loud as the direct sound; the end is cut off."""
    time = np.arange(max(1, round(seconds * rate))) / rate
    echo = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    echo /= np.sqrt(np.sum(echo**2))
    size = len(levels) + len(echo)
    late = np.fft.irfft(np.fft.rfft(levels, size) * np.fft.rfft(echo, size), size)[: len(levels)]
    mixed = levels + late
    return np.asarray(mixed * np.abs(levels).max() / max(float(np.abs(mixed).max()), 1e-9))


CORRUPTIONS: dict[str, tuple[Callable[[Levels, int, float, np.random.Generator], Levels], tuple[float, ...]]] = {
    "noise": (_noise, NOISE),
    "quiet": (_quiet, QUIET),
    "clipping": (_clipping, CLIPPING),
    "telephone": (_telephone, TELEPHONE),
    "speed": (_speed, SPEED),
    "reverberation": (_reverberation, REVERBERATION),
}
