"""WAV files as samples: whatever a recorder writes comes out as mono 16-bit samples of one rate."""

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

HEADER = 44  # bytes before the samples in a file that `write_wav` has made
LOWEST_RATE, HIGHEST_RATE = 1_000, 192_000  # Hz
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # format tags
TO_THE_END = 0xFFFFFFFF  # the length of data that were written into a pipe


@dataclass(frozen=True)
class _Layout:
    tag: int
    channels: int
    rate: int
    bits: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8


def write_wav(samples: Samples, rate: int) -> bytes:
    """Mono 16-bit samples as a WAV file: a header of 44 bytes, then the samples."""
    data = samples.astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16,
                       PCM, 1, rate, 2 * rate, 2, 16, b"data", len(data))  # fmt: skip
    return head + data


def written(content: bytes) -> tuple[Samples, int]:
    """Samples and rate of a file that `write_wav` has made."""
    rate: int = struct.unpack_from("<I", content, 24)[0]
    return np.frombuffer(content, "<i2", offset=HEADER), rate


def read_wav(content: bytes, rate: int, max_seconds: float) -> Samples:
    """A WAV file of 8, 16, 24 or 32 bits, or of 32-bit floats, mono or stereo -> mono 16-bit samples at `rate`.

    Raises ValueError that says what is wrong without repeating the content; lengths are checked before anything is
    unpacked.
    """
    layout, data = _parse(content)
    if len(data) % layout.frame:
        raise ValueError(f"the WAV is damaged: its data are no whole number of samples of {layout.frame} bytes")
    seconds = len(data) / layout.frame / layout.rate
    if not seconds:
        raise ValueError("the WAV holds no samples")
    if seconds > max_seconds:
        raise ValueError(f"the recording has {seconds:.1f} s, at most {max_seconds:g} s are taken")
    if (layout.tag, layout.bits, layout.channels, layout.rate) == (PCM, 16, 1, rate):
        return np.frombuffer(data, "<i2")
    levels = _levels(data, layout).reshape(-1, layout.channels).mean(axis=1)
    return to_samples(resample(levels, layout.rate, rate))


@dataclass(frozen=True)
class Measures:
    """What a WAV file is like."""

    rate: int  # Hz
    seconds: float
    loudest: float  # sample, as a share of full scale


def measure(content: bytes) -> Measures:
    """Rate, length and level of a WAV file; raises ValueError that says what is wrong with it."""
    layout, data = _parse(content)
    samples = read_wav(content, layout.rate, math.inf)
    return Measures(layout.rate, len(data) / layout.frame / layout.rate, float(np.abs(samples / 32768).max()))


def to_samples(levels: NDArray[np.floating]) -> Samples:
    """Levels from -1 to 1 -> 16-bit samples; what lies beyond is clipped."""
    return np.asarray(np.clip(np.rint(levels * 32768), -32768, 32767), np.int16)


def resample(levels: NDArray[np.floating], rate: int, wanted: int) -> NDArray[np.float64]:
    """The same sound at another rate, by its spectrum: what the new rate cannot hold is cut off, nothing is aliased."""
    before, after = (one // math.gcd(rate, wanted) for one in (rate, wanted))  # so many samples become so many
    blocks = 1 << (-(-len(levels) // before) - 1).bit_length()  # silence fills up to a power of two: a fast transform
    spectrum = np.fft.rfft(levels, blocks * before)[: blocks * after // 2 + 1]
    count = max(1, round(len(levels) * after / before))
    return np.fft.irfft(spectrum, blocks * after)[:count] * (after / before)


def _parse(content: bytes) -> tuple[_Layout, memoryview]:
    """The layout and the bytes of the samples."""
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("not a WAV file")
    layout: _Layout | None = None
    place = 12
    while place + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, place)
        place += 8
        if name == b"data":
            if layout is None:
                raise ValueError("the WAV is damaged: its data come before their format")
            left = len(content) - place
            length = left - left % layout.frame if length == TO_THE_END else length
            if length > left:
                raise ValueError(f"the WAV is damaged: it promises {length} bytes of samples and has {left}")
            return layout, memoryview(content)[place : place + length]
        if name == b"fmt ":
            layout = _layout(content[place : place + min(length, 40)])
        place += length + length % 2
    raise ValueError("the WAV is damaged: it ends before its samples")


def _layout(head: bytes) -> _Layout:
    if len(head) < 16:
        raise ValueError("the WAV is damaged: its format is cut off")
    tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", head)
    if tag == EXTENSIBLE and len(head) >= 26:
        tag = struct.unpack_from("<H", head, 24)[0]
    if (tag, bits) not in {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32)}:
        raise ValueError(
            f"the WAV has samples of format {tag} with {bits} bits; taken are PCM (1) of 8, 16, 24 or 32 bits and "
            "floats (3) of 32"
        )
    if channels not in (1, 2):
        raise ValueError(f"the WAV has {channels} channels; 1 or 2 are taken")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(f"the WAV has {rate} samples a second; taken are {LOWEST_RATE} to {HIGHEST_RATE}")
    layout = _Layout(tag, channels, rate, bits)
    if frame != layout.frame:
        raise ValueError(f"the WAV is damaged: {channels} x {bits} bits make no {frame} bytes")
    return layout


def _levels(data: memoryview, layout: _Layout) -> NDArray[np.float64]:
    """Samples as numbers from -1 to 1, the channels in turn."""
    if layout.tag == FLOAT:
        levels = np.frombuffer(data, "<f4").astype(np.float64)
        if not np.isfinite(levels).all():
            raise ValueError("the WAV holds samples that are no finite numbers")
        return np.clip(levels, -1, 1)
    if layout.bits == 8:
        return (np.frombuffer(data, np.uint8) - 128.0) / 128
    if layout.bits == 24:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(parts), 4), np.uint8)
        wide[:, 1:] = parts  # the upper three of four bytes: the sign comes along
        return wide.reshape(-1).view("<i4") / 2**31
    return np.frombuffer(data, f"<i{layout.bits // 8}") / 2.0 ** (layout.bits - 1)
