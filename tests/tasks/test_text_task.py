"""Texts in files: read as they are, checked, and never the same one in two splits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from messages import HAM, SPAM, published

from closedloop.data.examples import read_examples
from closedloop.data.text_table import read_text_table
from closedloop.errors import ConfigError, DataError
from closedloop.paths import SPLITS
from closedloop.preparation.preprocessing import preprocess
from closedloop.preparation.validation import validate
from closedloop.sources.acquire import acquire
from closedloop.tasks import get_task
from closedloop.tasks.schema import TextPart, TextTable

PART = TextPart(split="all", file="texts.tsv")


def formatted(**changes: object) -> TextTable:
    return TextTable.model_validate({"name": "text_table", "parts": [PART.model_dump()], **changes})


def read(folder: Path, content: bytes, part: TextPart = PART, **changes: object) -> tuple[list[str], list[str]]:
    (folder / "texts.tsv").write_bytes(content)
    return read_text_table(folder / "texts.tsv", part, formatted(**changes))


def test_a_text_stays_as_it_is(tmp_path: Path) -> None:
    texts, labels = read(tmp_path, 'ham\t "quoted", \u2028\x85 kept \r\n\nspam\t\x00'.encode())
    assert texts == [' "quoted", \u2028\x85 kept ', "\x00"]
    assert labels == ["ham", "spam"]


def test_columns_delimiter_and_encoding_are_configured(tmp_path: Path) -> None:
    part = TextPart(split="all", file="texts.tsv", label_column=2, text_column=0)
    texts, labels = read(tmp_path, "für|1|a\nzwölf|2|b\n".encode("cp1252"), part, delimiter="|", encoding="cp1252")
    assert (texts, labels) == (["für", "zwölf"], ["a", "b"])
    assert read(tmp_path, "\ufeffham\ttext".encode())[1] == ["ham"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no texts"),
        (b"ham\tone\nham two\n", "line 2 has 1 fields, 2 are expected; see source.format.delimiter"),
        (b"ham\tone\nham\ttwo\tthree\n", "line 2 has 3 fields, 2 are expected"),
        (
            b"ham\tone\nham\t\xff\n",
            "line 2: byte 0xff is not utf-8; name the file's encoding in source.format.encoding",
        ),
    ],
)
def test_a_broken_file_is_answered_with_the_line(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read(tmp_path, content)
    with pytest.raises(DataError, match="run the acquire stage"):
        read_text_table(tmp_path / "absent.tsv", PART, formatted())


@pytest.mark.parametrize(
    "changes", [{"encoding": "utf-99"}, {"encoding": "base64"}, {"delimiter": ""}, {"delimiter": "\n"}]
)
def test_a_format_that_cannot_be_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"encoding|delimiter"):
        formatted(**changes)


@pytest.mark.usefixtures("mirror")
def test_the_published_messages_pass_and_no_copy_straddles_splits_or_counts_twice(
    make_project: Any, mirror: Path
) -> None:
    project = make_project("sms_spam")
    params, paths, task = project.params, project.paths, get_task("texts")
    acquire(params, paths)
    examples = task.read(paths.raw, params)
    assert validate(examples, task, params).passed
    assert (examples.num_rows, len(np.unique(task.fingerprints(examples)))) == (5574, 5171)
    summary = preprocess(params, paths)
    assert summary["dropped"] == 403
    found = {split: read_examples(paths.examples(split)).column("text").to_pylist() for split in SPLITS}
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == 5171
    assert set().union(*found.values()) == {text for _, text in published(mirror)}


@pytest.mark.usefixtures("mirror")
def test_kept_copies_stay_together(make_project: Any) -> None:
    project = make_project("sms_spam", "preprocess.copies=keep", "preprocess.features.max_ngrams=1")
    acquire(project.params, project.paths)
    assert preprocess(project.params, project.paths)["dropped"] == 0
    found = {split: read_examples(project.paths.examples(split)).column("text").to_pylist() for split in SPLITS}
    assert sum(map(len, found.values())) == 5574
    assert sum(len(set(texts)) for texts in found.values()) == 5171


def local(make_project: Any, rows: list[str]) -> tuple[Any, Any]:
    project = make_project("sms_spam")
    folder = project.paths.raw
    folder.mkdir(parents=True)
    (folder / "SMSSpamCollection.tsv").write_text("\n".join(rows), encoding="utf-8")
    return project.params, get_task("texts").read(folder, project.params)


def test_blank_texts_and_the_traces_of_a_wrong_encoding_are_found(make_project: Any) -> None:
    rows = [f"ham\t{HAM[0]} {row}" for row in range(50)] + ["spam\t   ", "spam\tf\ufffdr"]
    params, examples = local(make_project, rows)
    blank, broken = get_task("texts").examine(examples, params)
    assert not blank.passed and blank.examples == ("all-000050",)
    assert not broken.passed and broken.examples == ("all-000051",)


def test_a_training_text_longer_than_a_request_may_be_is_told(make_project: Any) -> None:
    params, examples = local(make_project, [f"ham\t{'a' * 2001}", f"spam\t{SPAM[0]}"])
    with pytest.raises(DataError, match=r"2001 characters.*raise preprocess\.features\.max_characters"):
        get_task("texts").fit(examples, params)


def test_what_does_not_go_with_texts_is_refused(make_project: Any) -> None:
    with pytest.raises(ConfigError, match=r"model\.name: cnn does not go with task\.kind texts; allowed: text_tr"):
        make_project("sms_spam", "model=cnn")
    with pytest.raises(ConfigError, match=r"preprocess\.features\.name: none does not go with task\.kind texts"):
        make_project("sms_spam", "preprocess=default")


@pytest.mark.usefixtures("mirror")
def test_the_baseline_knows_most_messages_and_its_answers_are_probabilities(make_project: Any) -> None:
    project, task = make_project("sms_spam"), get_task("texts")
    acquire(project.params, project.paths)
    examples = task.read(project.paths.raw, project.params)
    train, rest = examples.slice(0, 800), examples.slice(800, 400)
    found = task.baseline(train, rest, project.params)
    np.testing.assert_allclose(found.rows.sum(axis=1), 1)
    said = np.array(project.params.task.classes)[found.rows.argmax(axis=1)]
    assert 0.95 < (said == np.array(rest.column("label").to_pylist())).mean() < 1
    hams = train.filter([label == "ham" for label in train.column("label").to_pylist()])
    alone = task.baseline(hams, rest.slice(0, 3), project.params).rows
    assert (alone[:, 0] > 0.9).all() and (alone[:, 1] > 0).all()
