"""Sounds in Arrow tables and in requests: mono 16-bit WAV of the task's rate, which knows its own rate."""

import base64
import binascii
from typing import TYPE_CHECKING, Any

from closedloop.tasks.sounds.wav import HIGHEST_RATE, LOWEST_RATE, Samples, read_wav, write_wav, written

if TYPE_CHECKING:
    import pyarrow as pa

AUDIO = "audio"


def column(sounds: list[Samples], rate: int) -> "pa.Array":
    """Sounds as a column of WAV files."""
    import pyarrow as pa

    return pa.array([write_wav(sound, rate) for sound in sounds], pa.binary())


def contents(examples: "pa.Table") -> list[bytes]:
    """The WAV files of a table of examples."""
    found: list[bytes] = examples.column(AUDIO).to_pylist()
    return found


def sounds(examples: "pa.Table") -> list[tuple[Samples, int]]:
    """The samples of a table of examples, and their rate."""
    return [written(content) for content in contents(examples)]


def with_sounds(examples: "pa.Table", changed: list[Samples], rate: int) -> "pa.Table":
    """The same examples with other sounds."""
    return examples.set_column(examples.schema.get_field_index(AUDIO), AUDIO, column(changed, rate))


def audio_schema(rate: int, max_seconds: float) -> dict[str, Any]:
    """The JSON schema of a sound in a request."""
    return {
        "description": f"A WAV file in base64, at most {max_seconds:g} s, mono or stereo, PCM of 8, 16, 24 or 32 bits "
        f"or floats of 32; rates from {LOWEST_RATE} to {HIGHEST_RATE} Hz are brought to {rate} Hz.",
        "type": "string",
        "format": "base64-wav",
        "contentEncoding": "base64",
        "contentMediaType": "audio/wav",
    }


def decode_audio(value: Any, rate: int, max_seconds: float) -> Samples:
    """A request's base64 WAV -> mono 16-bit samples at `rate`.

    Raises ValueError that says what is wrong without repeating the content.
    """
    if not isinstance(value, str):
        raise ValueError("expected a WAV file as text in base64")
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    return read_wav(content, rate, max_seconds)


def encode_audio(content: bytes) -> str:
    """A WAV file as a request's base64."""
    return base64.b64encode(content).decode()
