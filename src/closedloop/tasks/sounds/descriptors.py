"""Describes sounds by columns of numbers that move when the recordings do."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from closedloop.tasks.sounds.wav import Samples

Floats = NDArray[np.float64]

WINDOW, HOP = 0.032, 0.016  # seconds of a frame, and from frame to frame
SILENT_DB = 40  # a frame is silent when it is quieter than the loudest by this
FLOOR_DB = -100.0  # of full scale: about what 16 bits can tell
ROLLOFF = 0.85  # of the energy lies below the rolloff
LOW, HIGH = 0.075, 0.425  # of the rate: 600 and 3400 Hz of 8000


def describe(sounds: Sequence[tuple[Samples, int]]) -> pd.DataFrame:
    """Describe sounds (samples, samples a second) by float64 columns; levels are in decibels of full scale.

    duration         seconds
    loudness         root mean square level
    peak             level of the largest sample
    crest            peak over loudness, in decibels: small where samples were clipped
    clipped_share    share of samples as far out as the largest one, next to another such
    offset           mean of the samples, share of full scale
    crossings        share of neighbours with different signs
    centroid         mean frequency of the energy, Hz
    bandwidth        standard deviation of the frequency, Hz
    rolloff          frequency below which lies 85% of the energy, Hz
    flatness         geometric over arithmetic mean of the spectrum, decibels: 0 for white noise
    low_share        share of the energy in the lowest 7.5% of the rate
    high_level       level of the highest 15% of the band, decibels below all of it
    noise_floor      level of the quietest tenth of the frames
    dynamics         how far the loudest tenth of the frames lies above the quietest, decibels
    silence_share    share of the frames that are 40 dB quieter than the loudest
    decay            mean fall of the level from frame to frame where it falls, decibels a second
    """
    rows = [_describe(samples, rate) for samples, rate in sounds]
    return pd.DataFrame(rows, columns=list(_describe(np.zeros(1, np.int16), 8000)), dtype=np.float64)


def _describe(samples: Samples, rate: int) -> dict[str, float]:
    levels = samples.astype(np.float64) / 32768
    peak, loudness = _db(np.abs(levels).max()), _db(np.sqrt(np.mean(levels**2)))
    return {
        "duration": len(levels) / rate,
        "loudness": loudness,
        "peak": peak,
        "crest": peak - loudness,
        "clipped_share": _clipped(samples),
        "offset": float(levels.mean()),
        "crossings": float(np.mean((levels[1:] < 0) != (levels[:-1] < 0))) if len(levels) > 1 else 0.0,
        **_course_and_spectrum(levels, rate),
    }


def _db(level: float) -> float:
    return float(20 * np.log10(max(level, 10 ** (FLOOR_DB / 20))))


def _clipped(samples: Samples) -> float:
    """Samples in a run at either end of the range that the recording uses; a lone peak is none."""
    ends = (samples == samples.max()) | (samples == samples.min())
    if samples.max() == samples.min():
        return 0.0
    beside = np.zeros(len(ends), bool)
    beside[1:] = samples[1:] == samples[:-1]
    beside[:-1] |= beside[1:]
    return float(np.mean(ends & beside))


def _course_and_spectrum(levels: Floats, rate: int) -> dict[str, float]:
    window, hop = (max(2, round(seconds * rate)) for seconds in (WINDOW, HOP))
    padded = np.pad(levels - levels.mean(), (0, max(0, window - len(levels))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(window))) ** 2  # (T, bins)
    energy: Floats = np.asarray(spectrum.mean(axis=0), np.float64)
    frequency: Floats = np.fft.rfftfreq(window, 1 / rate).astype(np.float64)
    # frames by loudness; the recording's own offset is no sound
    course = np.maximum(10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-12)), FLOOR_DB)
    return {**_spectrum(energy, frequency, rate), **_course(course, rate / hop)}


def _spectrum(energy: Floats, frequency: Floats, rate: int) -> dict[str, float]:
    total = float(energy.sum())
    if total < 1e-9:  # nothing is heard: the middle of everything
        middle = rate / 4
        return {"centroid": middle, "bandwidth": 0.0, "rolloff": middle, "flatness": 0.0, "low_share": 0.0,
                "high_level": 0.0}  # fmt: skip
    share = energy / total
    centroid = float(share @ frequency)
    spread = np.maximum(share, 1e-12)
    return {
        "centroid": centroid,
        "bandwidth": float(np.sqrt(share @ (frequency - centroid) ** 2)),
        "rolloff": float(frequency[np.searchsorted(np.cumsum(share), ROLLOFF).clip(max=len(share) - 1)]),
        "flatness": float(10 * (np.log10(spread).mean() - np.log10(spread.mean()))),
        "low_share": float(share[frequency < LOW * rate].sum()),
        "high_level": float(10 * np.log10(max(float(share[frequency >= HIGH * rate].sum()), 1e-10))),
    }


def _course(course: Floats, frames_a_second: float) -> dict[str, float]:
    tenth = max(1, len(course) // 10)
    ordered = np.sort(course)
    quiet, loud = float(ordered[:tenth].mean()), float(ordered[-tenth:].mean())
    steps = np.diff(course)
    falling = steps[steps < 0]
    return {
        "noise_floor": quiet,
        "dynamics": loud - quiet,
        "silence_share": float(np.mean(course < ordered[-1] - SILENT_DB)),
        "decay": float(-falling.mean() * frames_a_second) if len(falling) else 0.0,
    }
