"""Sounds in requests: what is understood, what is refused and how."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sounding import RATE, Samples, base64_of, speech, table, tone, wav

from closedloop.errors import DataError
from closedloop.tasks.base import BadRecord
from closedloop.tasks.sounds.features import LogMel
from closedloop.tasks.sounds.task import TASK, SoundPreprocessor
from closedloop.tasks.sounds.wav import resample, to_samples, write_wav

LOG_MEL = LogMel(RATE, window=256, hop=80, mels=20, low_hz=50, range_db=60, frames=50)
PREPROCESSOR = SoundPreprocessor(max_seconds=2, log_mel=LOG_MEL, mean=[0.25] * 20, std=[0.5] * 20)
GOOD = base64_of(write_wav(tone(), RATE))
SOUNDS = st.lists(arrays(np.int16, st.integers(1, 300)), max_size=4)


@settings(deadline=None)
@given(SOUNDS)
def test_requests_and_examples_are_the_same_sounds(sounds: list[Samples]) -> None:
    records = [{"audio": base64_of(write_wav(sound, RATE))} for sound in sounds]
    examples = PREPROCESSOR.decode(records)
    assert PREPROCESSOR.encode(examples) == records
    inputs = PREPROCESSOR.inputs(records)["inputs"]
    assert inputs.shape == (len(sounds), 1, 20, 50) and inputs.dtype == np.float32
    assert np.isfinite(inputs).all()
    assert np.array_equal(PREPROCESSOR.transform(examples)["inputs"], inputs)


def test_a_request_of_another_rate_is_the_same_example_to_the_model() -> None:
    sound = speech(1)[0]
    fine = to_samples(resample(sound / 32768, RATE, 44100))
    both = PREPROCESSOR.inputs([{"audio": base64_of(write_wav(s, r))} for s, r in ((sound, RATE), (fine, 44100))])
    assert np.abs(both["inputs"][0] - both["inputs"][1]).max() < 0.2  # of 2


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        (None, "as text in base64"),
        (7, "as text in base64"),
        ([0, 1], "as text in base64"),
        ("secret!", "not base64"),
        ("é", "not base64"),
        ("", "not a WAV file"),
        (base64_of(b"ID3 secret"), "not a WAV file"),
        (base64_of(wav(b"")), "no samples"),
        (base64_of(wav(b"\0\0" * RATE * 600)), "has 600.0 s, at most 2 s"),
        (base64_of(wav(b"\0\0" * 800, channels=8)), "8 channels"),
    ],
)
def test_a_refusal_names_record_field_and_reason_but_no_content(audio: object, reason: str) -> None:
    with pytest.raises(BadRecord, match="record 1, field 'audio'") as refused:
        PREPROCESSOR.inputs([{"audio": GOOD}, {"audio": audio}])
    assert reason in refused.value.reason
    assert (refused.value.row, refused.value.field) == (1, "audio")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("record", [None, [], "audio", 1, {}, {"sound": GOOD}, {"audio": GOOD, "secret": 1}])
def test_a_record_has_exactly_the_field_audio(record: object) -> None:
    with pytest.raises(BadRecord, match="exactly one field, 'audio'") as refused:
        PREPROCESSOR.decode([record])  # type: ignore[list-item]
    assert "secret" not in str(refused.value)


def test_the_example_can_be_decoded_and_the_schema_names_its_field() -> None:
    example = PREPROCESSOR.request_example()
    assert PREPROCESSOR.inputs([example])["inputs"].shape == (1, 1, 20, 50)
    schema = PREPROCESSOR.request_schema()
    assert schema["required"] == list(example) == list(schema["properties"])
    assert base64.b64decode(example["audio"])[:4] == b"RIFF"


def test_the_preprocessor_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    PREPROCESSOR.save(tmp_path)
    loaded = TASK.load_preprocessor(tmp_path)
    assert loaded == PREPROCESSOR
    assert json.loads((tmp_path / "preprocessor.json").read_text())["kind"] == "sounds"
    examples = table(speech(3))
    assert np.array_equal(loaded.transform(examples)["inputs"], PREPROCESSOR.transform(examples)["inputs"])


def test_examples_of_another_rate_than_the_models_are_refused() -> None:
    with pytest.raises(DataError, match="the sounds have 16000 samples a second, the model takes 8000"):
        PREPROCESSOR.transform(table(speech(1), rate=16000))
