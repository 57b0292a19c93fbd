"""`closedloop new` on text files: a running text becomes a language model, a table stays one."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from own_data import User, Written

from closedloop.data.examples import read_examples
from closedloop.errors import DataError
from closedloop.paths import Paths


def prose(
    characters: int = 30_000, words: str = "the old river, café and its boats went by: a slow day. “Nothing”\n"
) -> str:
    rng = np.random.default_rng(0)
    return " ".join(rng.choice(words.split(" "), characters // 3))[:characters]


def test_a_running_text_becomes_a_language_model(user: User, written: Written) -> None:
    told = " ".join(user.new(written("book.txt", prose())).split())
    assert "30,000 characters" in told and "a language model learns how it goes on" in told
    assert "Please look" not in told.replace("Please look at this: - book.txt lies in a temporary folder", "")
    params = user.params
    assert (params.task.kind, params.task.target, params.gate.target) == ("texts", "text", "text")
    assert user.format["passage"] == 64
    report = user.prepare()
    counts = {split: found["examples"] for split, found in report["splits"].items()}
    assert sum(counts.values()) in (467, 468) and min(counts["test"], counts["production"]) >= 60
    assert counts["train"] > 240
    assert params.monitor.min_rows <= min(counts["test"], params.traffic.window) <= counts["production"]


def test_a_long_text_is_cut_as_the_one_that_ships(user: User, written: Written) -> None:
    user.new(written("book.txt", prose(1_100_000)))
    params = user.params
    assert (user.format["passage"], user.format["test_share"]) == (512, 0.1)
    assert (params.preprocess.validation_share, params.preprocess.production_share) == (0.03, 0.05)
    assert (params.trainer.batch_size, params.trainer.max_epochs) == (64, 18)


def test_what_the_gate_asks_for_is_better_than_counting_characters(user: User, written: Written) -> None:
    user.new(written("book.txt", "ab" * 5000 + prose(30_000, "a b")))
    assert user.params.gate.max_nats == pytest.approx(np.log(3), abs=0.1)  # type: ignore[union-attr]


def stays(user: User) -> bool:
    """Whether the passages are those of `prose()`."""
    user.prepare()
    rows = read_examples(Paths("mine", user.root).examples("test")).column("text").to_pylist()
    return "".join(rows) in prose()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_however_it_is_encoded_it_is_the_same_text(user: User, written: Written, encoding: str) -> None:
    told = " ".join(user.new(written("book.md", prose().encode(encoding))).split())
    assert ("encoding: cp1252 was guessed" in told) == (encoding == "cp1252")
    assert stays(user)


@pytest.mark.parametrize("ending", [".txt.gz", ".zip"])
def test_however_it_is_packed_it_is_the_same_text(user: User, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"book{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("text/book", prose())
            packed.writestr("__MACOSX/._book", b"\0")
    else:
        path.write_bytes(gzip.compress(prose().encode()))
    user.new(path)
    assert stays(user)


def test_a_text_whose_end_is_of_another_kind_is_watched_by_larger_changes_and_told(
    user: User, written: Written
) -> None:
    user.new(written("book.txt", prose(27_000) + prose(4_000).upper()))
    assert user.params.monitor.min_effect_numeric == 1
    assert (
        "the end of the text, its test part, is of another kind than the rest, by upper_share" in user.file.read_text()
    )


def test_a_text_whose_end_is_easier_than_the_rest_may_surprise_more_than_its_end(user: User, written: Written) -> None:
    words = "incomprehensibilities misunderstandings"  # in which a reader has little to guess
    user.new(written("book.txt", prose(54_000, f"a {words} no it is we so be") + prose(6_000, words)))
    assert user.params.monitor.max_nats_rise > 0.3
    assert 0 < user.params.validation.max_leaked_share < 0.1
    assert "its test part, is easier to tell than the rest" in user.file.read_text()
    assert "of the test part's passages stand before it as well" in user.file.read_text()


HEADED = "".join(f"{n},{n % 7},{('x', 'y')[n % 2]}\n" for n in range(-1, 300)).replace("-1,6,y", "age,size,kind")


def test_a_text_file_that_holds_a_table_is_one(user: User, written: Written) -> None:
    path = written("data.txt", HEADED)
    with pytest.raises(DataError, match=r"which column is to be predicted.* one of 'age', 'size', 'kind'"):
        user.new(path)
    user.new(path, "kind")
    assert user.params.task.kind == "tables"


def test_lines_of_a_label_and_a_text_are_a_table_and_no_running_text(user: User, written: Written) -> None:
    lines = "".join(f"{('ham', 'spam')[n % 2]}\tcall {n}, now: it is free, and {n % 9} more\n" for n in range(900))
    path = written("messages", lines)
    with pytest.raises(DataError, match="COLUMNS=first,second"):
        user.new(path)
    user.new(path, "label", columns=("label", "text"))
    assert user.params.task.classes == ["ham", "spam"]
    assert user.format["name"] == "text_columns"


@pytest.mark.parametrize(
    ("content", "doubt"),
    [
        ("".join(f"{n} {n * n} {n % 3} x\n" for n in range(2000)), "less than 50% of its characters are letters"),
        (
            "".join(f"{n} words, and {n % 97} more\n" if n % 2 else f"a line of {n} without\n" for n in range(1, 1500)),
            "50% of the first lines have as many columns as the first one",
        ),
    ],
)
def test_what_may_be_a_table_is_marked(user: User, written: Written, content: str, doubt: str) -> None:
    told = user.new(written("data.dat", content))
    assert doubt in " ".join(told.split())
    assert f"CHECK: {doubt}" in " ".join(user.file.read_text().replace("#", "").split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (prose(19_999), "is a running text of 19,999 characters, too short for a language model: it needs 20,000"),
        ("", "is empty"),
        (b"text\0" * 9000, "is no text: it holds zero bytes"),
        (prose().encode("utf-16")[:-1], "begins as utf-16, and byte .* is not"),
        ("all the same. " * 3000, "the train split is empty: 0 distinct examples"),
    ],
)
def test_what_cannot_be_learnt_is_refused(user: User, written: Written, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        user.new(written("book.txt", content))
    assert not user.file.exists()


def test_a_zip_with_a_table_and_notes_stays_a_table_and_two_texts_are_no_running_text(
    user: User, tmp_path: Path
) -> None:
    for name, files in {
        "a.zip": {"a.csv": HEADED, "about.txt": prose()},
        "b.zip": {"a.txt": prose(), "b.txt": "x"},
    }.items():
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            for member, content in files.items():
                packed.writestr(member, content)
    user.new(tmp_path / "a.zip", "kind")
    assert user.params.task.kind == "tables"
    user.file.unlink()
    with pytest.raises(DataError, match="lie in no folder of a class"):
        user.new(tmp_path / "b.zip")
