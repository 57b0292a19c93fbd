"""`closedloop new` on folders and zips of texts and of recordings."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from own_data import User

from closedloop.data.examples import read_examples
from closedloop.errors import ConfigError, DataError
from closedloop.paths import SPLITS, Paths
from closedloop.tasks.sounds.wav import write_wav
from closedloop.tasks.texts.task import TASK


def folder(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def archive(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def reviews(encoding: str = "utf-8", prefix: str = "", count: int = 120) -> dict[str, bytes]:
    words = ("schön und gut", "schlecht und öde")
    return {
        f"{prefix}{('good', 'bad')[n % 2]}/{n}.txt": f"Das Stück Nr. {n} war {words[n % 2]}.".encode(encoding)
        for n in range(count)
    }


def tones(count: int = 120, rates: tuple[int, ...] = (8000,), prefix: str = "") -> dict[str, bytes]:
    rng = np.random.default_rng(0)

    def tone(n: int) -> bytes:
        rate = rates[n % len(rates)]
        time = np.arange(round(rate * rng.uniform(0.2, 0.4))) / rate
        level = 20000 * np.sin(2 * np.pi * (300, 900)[n % 2] * rng.uniform(0.9, 1.1) * time)
        return write_wav((level + rng.normal(0, 300, len(time))).astype(np.int16), rate)

    return {f"{prefix}{('low', 'high')[n % 2]}/take {n}.wav": tone(n) for n in range(count)}


def prepared(user: User) -> list[dict[str, Any]]:
    user.prepare()
    paths = Paths("mine", user.root)
    return [row for split in SPLITS for row in read_examples(paths.examples(split)).to_pylist()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_folder_of_texts_becomes_a_task(user: User, tmp_path: Path, encoding: str) -> None:
    hidden = {".git/x.txt": b"\xff", "good/._1.txt": b"\xff", "readme.md": b"x"}
    told = user.new(folder(tmp_path / "my reviews", {**reviews(encoding), **hidden}))
    assert "bad 60 (50%)" in told and "next: make run TASK=mine" in told
    assert user.params.task.kind == "texts"
    rows = prepared(user)
    assert {row["id"]: row["label"] for row in rows} == {
        f"{label}/{n}": label for n in range(120) for label in [("good", "bad")[n % 2]]
    }
    texts = {row["id"]: row["text"] for row in rows}
    assert texts["good/0"] == "Das Stück Nr. 0 war schön und gut."


def test_official_parts_and_deeper_folders_are_found(user: User, tmp_path: Path) -> None:
    files = {
        **{name.replace("/", "/a/", 1): text for name, text in reviews(prefix="", count=120).items()},
        **{name.replace("/", "/b/", 1): text + b"!" for name, text in reviews(count=60).items()},
    }
    parts = {("data/test/" if "/b/" in name else "data/train/") + name: text for name, text in files.items()}
    told = user.new(archive(tmp_path / "reviews.zip", parts))
    assert "official test split" in told
    rows = prepared(user)
    assert sum(row["part"] == "test" for row in rows) == 60
    assert {row["label"] for row in rows} == {"good", "bad"}


def test_a_folder_of_recordings_of_several_rates_becomes_a_task(user: User, tmp_path: Path) -> None:
    told = " ".join(user.new(folder(tmp_path / "tones", tones(rates=(8000, 8000, 11025)))).split())
    assert "8,000 Hz (80), 11,025 Hz (40)" in told and "brought to 8,000 Hz" in told
    assert (user.params.task.kind, user.format["rate"]) == ("sounds", 8000)
    assert len(prepared(user)) == 120


def test_the_same_folder_is_the_same_zip_wherever_it_lies(user: User, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        user.new(folder(tmp_path / name, reviews()))
        digests.append(user.params.source.files[0].sha256)
        user.file.unlink()
    assert digests[0] == digests[1]


def test_a_folder_that_has_changed_since_is_told(user: User, tmp_path: Path) -> None:
    data = folder(tmp_path / "reviews", reviews())
    user.new(data)
    (data / "good" / "0.txt").write_text("other")
    with pytest.raises(Exception, match="is not what was expected: its packed content has sha256"):
        user.prepare()


def test_files_of_one_group_of_the_pattern_stay_together(user: User, tmp_path: Path) -> None:
    files = {
        name.replace("take ", f"speaker{n // 2 % 12}_"): content for n, (name, content) in enumerate(tones().items())
    }
    user.new(folder(tmp_path / "tones", files))
    content = yaml.safe_load(user.file.read_text())
    content["source"]["format"]["pattern"] = r"(?P<label>[^/]+)/(?P<group>[^_/]+)_[^/]+\.wav"
    user.file.write_text("# @package _global_\n" + yaml.safe_dump(content))
    user.prepare()
    groups = [
        set(read_examples(Paths("mine", user.root).examples(split)).column("group").to_pylist()) for split in SPLITS
    ]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 12


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": b"x", "b.txt": b"y"}, "2 of 2 files lie in no folder of a class: a.txt, b.txt"),
        ({**reviews(), "notes.txt": b"x"}, "1 of 121 files lie in no folder of a class: notes.txt"),
        ({f"only/{n}.txt": b"x" for n in range(120)}, "lie in no folder of a class"),
        ({**reviews(), "good/long.txt": b"x" * 100_001}, "the longest text has 100,001 characters"),
        ({**tones(), "low/broken.wav": b"RIFF"}, "1 recordings in .* cannot be used:\n  'low/broken.wav': not a WAV"),
        ({**tones(), "low/long.wav": write_wav(np.ones(61 * 8000, np.int16), 8000)}, "it has 61 s, at most 60 s"),
        ({"a/x.doc": b"x"}, "in no form that can be looked at"),
    ],
)
def test_what_cannot_be_learnt_is_refused(user: User, tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        user.new(folder(tmp_path / "kept", files))
    assert not user.file.exists()


def test_a_target_of_a_folder_is_a_mistake(user: User, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the classes of kept are its subfolders: leave out TARGET"):
        user.new(folder(tmp_path / "kept", reviews()), "label")


def test_a_file_that_is_not_in_the_encoding_is_named(user: User, tmp_path: Path) -> None:
    data = folder(tmp_path / "kept", reviews())
    user.new(data)
    params = user.params
    raw = tmp_path / "raw"
    raw.mkdir()
    archive(raw / "kept.zip", {**reviews(), "bad/200.txt": "öde".encode("cp1252")})
    with pytest.raises(DataError, match=r"'bad/200.txt': line 1: byte 0xf6 is not utf-8"):
        TASK.read(raw, params)
