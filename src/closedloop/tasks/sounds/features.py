"""Log-mel spectrograms in NumPy: the same code before training and behind a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from closedloop.tasks.sounds.wav import Samples

Floats = NDArray[np.float32]

SILENCE = 1e-10  # power below which a band holds nothing: some 16-bit steps


@dataclass(frozen=True)
class LogMel:
    """How sounds become pictures of time and pitch."""

    rate: int  # Hz
    window: int  # samples of one frame
    hop: int  # samples from frame to frame
    mels: int  # bands of pitch
    low_hz: float  # where the lowest band begins; the highest ends at half the rate
    range_db: float  # what is quieter than the loudest point by more than this counts as silence
    frames: int  # of the picture

    def pictures(self, sounds: Sequence[Samples]) -> Floats:
        """Sounds -> (N, mels, frames) from 0 (silence) to 1 (the loudest point), each centred on where its sound is.

        The loudness of a recording is thereby left out: a whisper close to the microphone is a shout from afar.
        """
        pictures = np.zeros((len(sounds), self.mels, self.frames), np.float32)
        for row, levels in enumerate(self.spectrograms(sounds)):
            weights = levels.sum(axis=1)  # (T,)
            centre = float(weights @ np.arange(len(levels))) / max(float(weights.sum()), 1e-6)
            start = round(centre - (self.frames - 1) / 2)  # of the picture, in frames of the sound
            seen = levels[max(start, 0) : max(start + self.frames, 0)]
            place = max(-start, 0)
            pictures[row, :, place : place + len(seen)] = seen.T
        return pictures

    def spectrograms(self, sounds: Sequence[Samples]) -> list[Floats]:
        """Sounds -> (T, mels) each, as long as it is, from 0 to 1; T frames begin a hop apart, padded with silence."""
        counts = [-(-len(sound) // self.hop) for sound in sounds]
        if not counts:
            return []
        tail = -(-(self.window - self.hop) // self.hop)  # further hops, that the last frame of a sound is whole
        starts = np.cumsum([0, *(count + tail for count in counts)])  # in hops
        track = np.zeros(starts[-1] * self.hop + self.window, np.float32)
        for start, sound in zip(starts, sounds, strict=False):
            begin = start * self.hop + (self.window - self.hop) // 2
            track[begin : begin + len(sound)] = sound
        rows = np.concatenate([start + np.arange(count) for start, count in zip(starts, counts, strict=False)])
        # all frames of all sounds at once: one transform, one product
        frames = np.lib.stride_tricks.sliding_window_view(track, self.window)[:: self.hop][rows] * self._taper
        spectrum = np.fft.rfft(frames)
        power = (spectrum.real**2 + spectrum.imag**2) @ self._bands
        levels = (10 * np.log10(power + np.float32(SILENCE))).astype(np.float32)
        return [self._scaled(part) for part in np.split(levels, np.cumsum(counts)[:-1])]

    def _scaled(self, levels: Floats) -> Floats:
        """Decibels -> 0 to 1, the loudest point being 1; nothing but silence is 0 throughout."""
        loudest = levels.max()
        if loudest <= 10 * np.log10(SILENCE) + 1e-3:
            return np.zeros_like(levels)
        return np.asarray(np.maximum((levels - loudest) / np.float32(self.range_db) + 1, 0), np.float32)

    @cached_property
    def _taper(self) -> Floats:
        """Hann's window, with the scale of 16-bit samples."""
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(self.window) + 0.5) / self.window)
        return np.asarray(hann / hann.sum() / 32768, np.float32)

    @cached_property
    def _bands(self) -> Floats:
        """Triangles of equal width on the mel scale (Stevens et al., 1937; O'Shaughnessy, 1987): (bins, mels)."""
        edges = _to_hz(np.linspace(_to_mel(self.low_hz), _to_mel(self.rate / 2), self.mels + 2))
        bins = np.fft.rfftfreq(self.window, 1 / self.rate)[:, None]
        rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
        triangles = np.maximum(np.minimum(rising, falling), 0)
        # a band narrower than the distance of two bins may fall between them: it takes the nearest
        empty = np.flatnonzero(triangles.sum(axis=0) == 0)
        triangles[np.abs(bins - edges[1:-1][empty]).argmin(axis=0), empty] = 1
        return np.asarray(triangles / triangles.sum(axis=0), np.float32)


def _to_mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


def _to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
