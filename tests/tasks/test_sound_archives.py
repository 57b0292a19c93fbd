"""Archives of WAV files: labels and official parts from names, and what is wrong with which file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sounding import RATE, archive, speech, tone, wav

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.data import archives
from closedloop.errors import ConfigError, DataError
from closedloop.tasks.sounds.request import sounds
from closedloop.tasks.sounds.task import TASK
from closedloop.tasks.sounds.wav import write_wav

ROOT = Path(__file__).parents[2]
WORDS = [write_wav(sound, RATE) for sound in speech(4)]
GOOD = {f"recordings/{n}_theo_{n + 3}.wav": word for n, word in enumerate(WORDS)}  # 3 and 4 are official


@pytest.fixture(scope="module")
def content() -> Any:
    return compose("spoken_digits", (), ROOT / "conf")


def configured(content: Any, **changes: Any) -> Params:
    form = {**content["source"]["format"], **changes}
    return parse({**content, "source": {**content["source"], "format": form}}, "conf/")


def raw(tmp_path: Path, files: dict[str, bytes]) -> Path:
    return archive(tmp_path / "recordings.zip", files).parent


def test_labels_and_official_parts_come_from_the_names(tmp_path: Path, content: Any) -> None:
    others = {"recordings/": b"", "README.md": b"x", "__MACOSX/recordings/._0_theo_3.wav": b"x"}
    table = TASK.read(raw(tmp_path, {**others, **GOOD}), configured(content))
    assert table.column("id").to_pylist() == ["0_theo_3", "1_theo_4", "2_theo_5", "3_theo_6"]
    assert table.column("part").to_pylist() == ["test", "test", "train", "train"]
    assert table.column("label").to_pylist() == ["0", "1", "2", "3"]
    assert table.column("audio").to_pylist() == WORDS


def test_the_test_split_may_be_a_speaker_or_none(tmp_path: Path, content: Any) -> None:
    folder = raw(tmp_path, {**GOOD, "recordings/9_zoe_1.wav": WORDS[0]})
    by_speaker = configured(content, test={"group": "speaker", "values": ["zoe"]})
    assert TASK.read(folder, by_speaker).column("part").to_pylist() == ["train"] * 4 + ["test"]
    without = configured(content, test=None)
    assert without.source.format.splits == ("all",)
    assert set(TASK.read(folder, without).column("part").to_pylist()) == {"all"}


def test_a_label_may_be_a_folder(tmp_path: Path, content: Any) -> None:
    folder = raw(tmp_path, {"data/yes/a.wav": WORDS[0], "data/no/a_b.WAV": WORDS[1]})
    params = configured(content, pattern=r"(?P<label>\w+)/\w+\.(?i:wav)", test=None)
    table = TASK.read(folder, params)
    assert table.column("label").to_pylist() == ["no", "yes"]
    assert table.column("id").to_pylist() == ["no/a_b", "yes/a"]  # the same name may stand in two folders


def test_every_damaged_recording_is_named_with_its_reason(tmp_path: Path, content: Any) -> None:
    files = {
        **GOOD,
        "recordings/4_theo_9.wav": WORDS[0][:-10],
        "recordings/5_theo_9.wav": b"secret",
        "recordings/6_theo_9.wav": wav(b"\0\0" * RATE * 11),
        "recordings/seven.wav": WORDS[0],
        "../../8_theo_9.wav": wav(b""),
    }
    with pytest.raises(DataError, match=r"5 recordings in .*recordings\.zip cannot be used") as raised:
        TASK.read(raw(tmp_path, files), configured(content))
    message = str(raised.value)
    assert "'recordings/4_theo_9.wav': the WAV is damaged: it promises" in message
    assert "'recordings/5_theo_9.wav': not a WAV file" in message
    assert "'recordings/6_theo_9.wav': the recording has 11.0 s, at most 10 s are taken" in message
    assert "'recordings/seven.wav': its name does not fit source.format.pattern" in message
    assert "'../../8_theo_9.wav': the WAV holds no samples" in message
    assert "secret" not in message
    assert list(tmp_path.iterdir()) == [tmp_path / "recordings.zip"]  # nothing is ever extracted


def test_of_many_damaged_recordings_ten_are_named(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError, match="and 15 more"):
        TASK.read(raw(tmp_path, {f"1_theo_{n}.wav": b"x" for n in range(25)}), configured(content))


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, content: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 100_000)
    with pytest.raises(DataError, match=r"'1_theo_1\.wav': it has more than 100000 bytes"):
        TASK.read(raw(tmp_path, {"1_theo_1.wav": b"\0" * 5_000_000}), configured(content))


def test_what_is_no_archive_or_empty_or_broken_says_so(tmp_path: Path, content: Any) -> None:
    params = configured(content)
    with pytest.raises(DataError, match="is missing; run the acquire stage"):
        TASK.read(tmp_path, params)
    (tmp_path / "recordings.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="is no zip archive, or a damaged one"):
        TASK.read(tmp_path, params)
    with pytest.raises(DataError, match=r"holds no file whose name ends in \.wav"):
        TASK.read(raw(tmp_path, {"a.mp3": b""}), params)
    path = raw(tmp_path, GOOD) / "recordings.zip"
    packed = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as found:
        begin = found.infolist()[1].header_offset
    packed[begin + 200 : begin + 260] = b"\0" * 60
    path.write_bytes(packed)
    with pytest.raises(DataError, match=r"'recordings/1_theo_4\.wav': it cannot be unpacked"):
        TASK.read(tmp_path, params)


def test_recordings_of_other_rates_and_forms_become_one_form(tmp_path: Path, content: Any) -> None:
    files = {
        "1_theo_1.wav": write_wav(tone(rate=44100), 44100),
        "2_theo_1.wav": wav(np.repeat(tone(), 2).tobytes(), channels=2),
        "3_theo_1.wav": write_wav(tone(), RATE),
    }
    found = sounds(TASK.read(raw(tmp_path, files), configured(content)))
    assert {rate for _, rate in found} == {RATE}
    assert np.array_equal(found[1][0], found[2][0])
    assert np.abs(found[0][0].astype(int) - found[2][0]).max() < 300


def test_the_fingerprint_is_of_the_sound_alone(tmp_path: Path, content: Any) -> None:
    table = TASK.read(raw(tmp_path, {**GOOD, "recordings/9_zoe_1.wav": WORDS[0]}), configured(content))
    marks = TASK.fingerprints(table)
    assert marks[0] == marks[4] and len(set(marks.tolist())) == 4
    assert TASK.fingerprints(table.slice(0, 1)).tolist() == marks[:1].tolist()


def test_silence_and_a_level_that_does_not_fit_are_found(tmp_path: Path, content: Any) -> None:
    silence = write_wav(np.zeros(800, np.int16), RATE)
    params = configured(content)
    found = {f.check: f for f in TASK.examine(TASK.read(raw(tmp_path, {"1_theo_1.wav": silence}), params), params)}
    assert not found["level"].passed and "the loudest sample of all is 0" in found["level"].found
    assert not found["silent recordings"].passed and found["silent recordings"].examples == ("1_theo_1",)
    loud = write_wav(tone(level=0.9), RATE)
    assert all(f.passed for f in TASK.examine(TASK.read(raw(tmp_path, {"1_theo_1.wav": loud}), params), params))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pattern": "(?P<label>["}, "pattern is no regular expression"),
        ({"pattern": "[0-9]"}, r"pattern has no group \(\?P<label>…\)"),
        (
            {"test": {"group": "voice", "values": ["theo"]}},
            "test.group must be a group of pattern, label, speaker, index",
        ),
        (
            {"parts": [{"split": "train", "archive": "recordings.zip"}]},
            "test chooses from one part whose split is 'all'",
        ),
        ({"rate": 10}, r"source\.format\.rate: Input should be greater"),
        (
            {"test": {"group": "index", "values": [0]}},
            r"source\.format\.test\.values\.0: Input should be a valid string",
        ),
    ],
)
def test_mistakes_in_the_configuration_are_named(content: Any, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        configured(content, **changes)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_damage_within_an_archive_is_told_whatever_packed_it(tmp_path: Path, content: Any, method: int) -> None:
    path = tmp_path / "recordings.zip"
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, sound in GOOD.items():
            packed.writestr(name, sound)
    with zipfile.ZipFile(path) as packed:
        start = packed.infolist()[0].header_offset + 60
    damaged = bytearray(path.read_bytes())
    damaged[start : start + 200] = bytes(200)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"(?s)1 recordings in .*0_theo_3\.wav': it cannot be unpacked"):
        TASK.read(tmp_path, configured(content))
