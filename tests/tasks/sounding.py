"""Sounds and WAV files for tests."""

import base64
import struct
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closedloop.tasks.sounds.request import column

RATE = 8000
Samples = NDArray[np.int16]


def tone(hz: float = 440, seconds: float = 0.4, level: float = 0.5, rate: int = RATE) -> Samples:
    """A tone that swells and fades."""
    time = np.arange(round(seconds * rate)) / rate
    swell = np.sin(np.pi * np.arange(len(time)) / max(len(time) - 1, 1))
    return np.asarray(32767 * level * swell * np.sin(2 * np.pi * hz * time), np.int16)


def speech(count: int, seed: int = 0) -> list[Samples]:
    """Something like words: harmonics that glide, each as long, as loud and as noisy as drawn."""
    rng = np.random.default_rng(seed)
    return [_word(rng) for _ in range(count)]


def _word(rng: np.random.Generator) -> Samples:
    seconds = rng.uniform(0.3, 0.7)
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = rng.uniform(90, 220) * (1 + 0.3 * time)
    sound = sum(np.sin(2 * np.pi * n * np.cumsum(pitch) / RATE) / n for n in range(1, 15))
    quiet = np.sin(np.pi * time / seconds) ** 2 * rng.uniform(0.05, 0.3)
    return np.asarray(32767 * (quiet * np.asarray(sound) / 2 + 0.001 * rng.standard_normal(len(time))), np.int16)


def table(sounds: list[Samples], labels: list[str] | None = None, rate: int = RATE) -> pa.Table:
    names = labels or [str(row % 10) for row in range(len(sounds))]
    ids = [f"all-{row:06d}" for row in range(len(sounds))]
    return pa.table({"id": ids, "audio": column(sounds, rate), "label": names})


def wav(
    data: bytes,
    *,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    tag: int = 1,
    extra: bytes = b"",
    form: bytes = b"",
) -> bytes:
    """A WAV file, however odd; `extra` chunks come before the data, `form` is the end of an extensible format."""
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", tag, channels, rate, rate * frame % 2**32, frame, bits) + form
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + extra + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def archive(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path
