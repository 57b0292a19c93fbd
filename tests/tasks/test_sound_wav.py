"""WAV files: every common form means the same sound, and what is wrong is said without repeating it."""

import contextlib
import io
import re
import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sounding import RATE, Samples, tone, wav

from closedloop.tasks.sounds.wav import read_wav, resample, write_wav, written

SAMPLES = arrays(np.int16, st.integers(1, 200))


@settings(deadline=None)
@given(SAMPLES, st.sampled_from([8000, 16000, 44100]))
def test_what_is_written_is_read_bit_for_bit_here_and_by_the_standard_library(samples: Samples, rate: int) -> None:
    content = write_wav(samples, rate)
    assert np.array_equal(read_wav(content, rate, 10), samples)
    assert np.array_equal(written(content)[0], samples) and written(content)[1] == rate
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
        assert file.readframes(file.getnframes()) == samples.astype("<i2").tobytes()


@settings(deadline=None)
@given(SAMPLES)
def test_wider_samples_floats_and_stereo_mean_the_same(samples: Samples) -> None:
    wide = samples.astype("<i4") << 16
    bytes24 = wide.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    stereo = np.repeat(samples, 2).astype("<i2").tobytes()
    guid = struct.pack("<HHIH14s", 22, 16, 4, 1, b"")  # the extensible form of PCM
    for content in (
        wav(wide.tobytes(), bits=32),
        wav(bytes24, bits=24),
        wav((samples / np.float32(32768)).astype("<f4").tobytes(), bits=32, tag=3),
        wav(stereo, channels=2),
        wav(samples.astype("<i2").tobytes(), tag=0xFFFE, form=guid),
        wav(samples.astype("<i2").tobytes(), extra=b"LIST\x03\0\0\0abc\0"),  # of odd length: padded
        wav(samples.astype("<i2").tobytes())[:-2] + samples[-1:].tobytes() + b"LIST\0\0\0\0",
    ):
        assert np.array_equal(read_wav(content, RATE, 10), samples)


def test_eight_bits_are_unsigned() -> None:
    assert read_wav(wav(bytes([0, 128, 255]), bits=8), RATE, 1).tolist() == [-32768, 0, 32512]


def test_data_of_unknown_length_go_to_the_end() -> None:
    content = wav(tone().tobytes()).replace(struct.pack("<I", len(tone().tobytes())), b"\xff\xff\xff\xff", 1)
    assert np.array_equal(read_wav(content, RATE, 10), tone())


@pytest.mark.parametrize("rate", [11025, 16000, 22050, 44100, 48000, 7919])
def test_another_rate_is_the_same_sound(rate: int) -> None:
    found = read_wav(write_wav(tone(rate=rate), rate), RATE, 10)
    assert len(found) == pytest.approx(len(tone()), abs=1)
    assert np.abs(found[:3000].astype(int) - tone()[:3000]).max() < 300  # of 16,000


def test_tones_that_the_lower_rate_cannot_hold_are_cut_off_and_not_aliased() -> None:
    high = tone(hz=6000, rate=16000) / 32768
    assert np.abs(resample(high, 16000, 8000)).max() < 0.02


BAD = [
    (b"", "not a WAV file"),
    (b"secret" * 20, "not a WAV file"),
    (b"RIFF\0\0\0\0AVI secret", "not a WAV file"),
    (wav(b"\0\0" * 8)[:30], "its format is cut off"),
    (wav(b"\0\0" * 8)[:40], "it ends before its samples"),
    (wav(b"\0\0" * 8)[:-3], "it promises 16 bytes of samples and has 13"),
    (wav(b"\0" * 7), "no whole number of samples"),
    (wav(b""), "no samples"),
    (wav(b"\0\0" * RATE * 3), "has 3.0 s, at most 2 s"),
    (wav(b"\0" * 16, channels=8), "8 channels"),
    (wav(b"\0" * 16, channels=0), "0 channels"),
    (wav(b"\0" * 16, rate=0), "0 samples a second"),
    (wav(b"\0" * 16, rate=2**32 - 1), "4294967295 samples a second"),
    (wav(b"\0" * 16, bits=8, tag=7), "format 7 with 8 bits"),
    (wav(b"\0" * 16, bits=12), "format 1 with 12 bits"),
    (wav(np.array([np.nan], "<f4").tobytes(), bits=32, tag=3), "no finite numbers"),
    (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd", "before their format"),
    (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff", "it ends before its samples"),
    (wav(b"\0" * 16).replace(struct.pack("<HH", 2, 16), struct.pack("<HH", 3, 16)), "make no 3 bytes"),
]


@pytest.mark.parametrize(("content", "reason"), BAD)
def test_what_is_wrong_is_said_without_the_content(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as refused:
        read_wav(content, RATE, 2)
    assert "secret" not in str(refused.value)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=80), st.integers(0, 60), st.integers(0, 60))
def test_hostile_bytes_end_in_a_reason_or_in_samples(noise: bytes, start: int, keep: int) -> None:
    content = wav(tone(seconds=0.003).tobytes())
    damaged = content[:start] + noise + content[start + keep :]
    with contextlib.suppress(ValueError):
        assert len(read_wav(damaged, RATE, 2)) > 0
