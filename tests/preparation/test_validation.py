"""validate: sound data pass, and each kind of damage fails the check that is there for it, with the rows named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, PART
from closedloop.data.idx import read_idx, write_idx
from closedloop.errors import DataError
from closedloop.files import read_json
from closedloop.preparation.validation import ValidationResult, validate
from closedloop.sources.acquire import acquire
from closedloop.tasks import get_task
from closedloop.tasks.images.request import pixels, with_pixels

Arrays = tuple[np.ndarray, np.ndarray]
TASK = get_task("images")


def raw(project: Any) -> Arrays:
    return tuple(np.array(read_idx(project.paths.raw / name)) for name in ("images.idx", "labels.idx"))


def damage(project: Any, change: Callable[[np.ndarray, np.ndarray], Arrays | None]) -> None:
    """Rewrite the raw files of the digits after a change in place, or with the arrays that it returns."""
    images, labels = raw(project)
    images, labels = change(images, labels) or (images, labels)
    write_idx(project.paths.raw / "images.idx", images)
    write_idx(project.paths.raw / "labels.idx", labels)


def check(project: Any, **limits: Any) -> ValidationResult:
    validation = project.params.validation.model_copy(update=limits)
    params = project.params.model_copy(update={"validation": validation})
    return validate(TASK.read(project.paths.raw, params), TASK, params)


def failed(result: ValidationResult) -> set[str]:
    return {finding.check for finding in result.failed}


def finding(result: ValidationResult, check: str) -> Any:
    (found,) = [finding for finding in result.findings if finding.check == check]
    return found


@pytest.fixture
def split(digits: Any) -> tuple[pa.Table, Params]:
    """The digits in two official parts: the last 400 are the test part."""
    table = TASK.read(digits.paths.raw, digits.params)
    names = pa.array(["train"] * (len(table) - 400) + ["test"] * 400)
    parts = [{"split": name, "images": f"{name}-i.idx", "labels": f"{name}-l.idx"} for name in ("train", "test")]
    content = digits.params.model_dump()
    content["source"]["format"]["parts"] = parts
    source = content["source"] | {
        "kind": "download",
        "files": [
            {"name": name, "url": "x", "sha256": "0" * 64}
            for part in parts
            for name in (part["images"], part["labels"])
        ],
    }
    params = Params.model_validate(content | {"source": source})
    return table.set_column(table.schema.get_field_index(PART), PART, names), params


def test_the_digits_pass_and_their_counts_are_reported(digits: Any) -> None:
    result = check(digits)
    assert result.passed
    content = result.to_json()
    assert content["passed"] and content["failed"] == []
    assert content["examples"] == content["parts"]["all"]["examples"] == 1797
    assert content["parts"]["all"]["classes"]["3"] == 183
    assert len(content["findings"]) == 13


@pytest.mark.usefixtures("mirror")
def test_mnist_passes(make_project: Any) -> None:
    project = make_project("mnist")
    acquire(project.params, project.paths)
    result = validate(TASK.read(project.paths.raw, project.params), TASK, project.params)
    assert result.passed, result.failed
    assert {part: sum(classes.values()) for part, classes in result.counts.items()} == {"train": 60_000, "test": 10_000}


def test_a_label_outside_the_classes_is_named_also_when_a_class_has_the_name_of_its_byte(digits: Any) -> None:
    damage(digits, lambda _, labels: labels.__setitem__([7, 9], [10, 200]))
    classes = ["10", *"123456789"]
    digits = type(digits)(
        digits.root,
        digits.params.model_copy(update={"task": digits.params.task.model_copy(update={"classes": classes})}),
    )
    result = check(digits)
    assert failed(result) == {"labels"}
    assert finding(result, "labels").examples == ("all-000007", "all-000009")
    assert "(byte 10), (byte 200)" in finding(result, "labels").found
    assert check(digits, max_unknown_label_share=0.01).passed


def test_a_value_above_the_scale_is_named_and_never_clipped(digits: Any) -> None:
    def change(images: np.ndarray, _: np.ndarray) -> None:
        images[5, 2, 3], images[90, 0, 0] = 200, 17

    damage(digits, change)
    result = check(digits)
    assert failed(result) == {"value range"}
    assert finding(result, "value range").examples == ("all-000005", "all-000090")
    assert "2 of 1797 images exceed 16; the largest value is 200" in finding(result, "value range").found
    table = TASK.read(digits.paths.raw, digits.params)
    assert pixels(table).max() == round(200 * 255 / 16)
    with pytest.raises(DataError, match="pixel_max"):
        TASK.fit(table, digits.params)


def test_every_raw_value_up_to_the_scale_is_kept_apart(digits: Any) -> None:
    images, _ = raw(digits)
    stretched = pixels(TASK.read(digits.paths.raw, digits.params))
    assert stretched.dtype == np.uint8
    np.testing.assert_array_equal(stretched, np.round(images * (255 / 16)).astype(np.uint8))


def test_a_scale_far_above_the_values_is_noticed(digits: Any) -> None:
    read_as = digits.params.source.format.model_copy(update={"pixel_max": 255})
    source = digits.params.source.model_copy(update={"format": read_as})
    digits = type(digits)(digits.root, digits.params.model_copy(update={"source": source}))
    result = check(digits)
    assert failed(result) == {"value scale"}
    assert finding(result, "value scale").found == "the brightest pixel of all is 16"


def test_blank_images_are_named(digits: Any) -> None:
    def change(images: np.ndarray, _: np.ndarray) -> None:
        images[3], images[8] = 0, 7

    damage(digits, change)
    result = check(digits)
    assert failed(result) == {"blank images"}
    assert finding(result, "blank images").examples == ("all-000003", "all-000008")


def test_too_many_copies_within_a_part(digits: Any) -> None:
    images, labels = raw(digits)
    again = slice(0, 100)
    damage(digits, lambda *_: (np.concatenate([images, images[again]]), np.concatenate([labels, labels[again]])))
    result = check(digits)
    assert failed(result) == {"duplicates"}
    assert "all: 100 of 1897" in finding(result, "duplicates").found
    assert finding(result, "duplicates").examples[:2] == ("all-001797", "all-001798")
    assert check(digits, max_duplicate_share=0.06).passed


def test_the_same_image_under_two_labels(digits: Any) -> None:
    damage(digits, lambda images, _: images.__setitem__([10, 11], images[[25, 26]]))  # 0, 1 and 5, 6
    result = check(digits)
    assert failed(result) == {"conflicting labels"}
    assert set(finding(result, "conflicting labels").examples) == {f"all-0000{row}" for row in (10, 11, 25, 26)}


@pytest.mark.parametrize("keep", [8, 0])
def test_a_class_with_too_few_examples(digits: Any, keep: int) -> None:
    def change(images: np.ndarray, labels: np.ndarray) -> Arrays:
        chosen = (labels != 4) | (np.cumsum(labels == 4) <= keep)
        return images[chosen], labels[chosen]

    damage(digits, change)
    result = check(digits)
    assert "examples of each class" in failed(result)
    assert f"all: '4' {keep}" in finding(result, "examples of each class").found


def test_one_class_only(digits: Any) -> None:
    damage(digits, lambda images, labels: (images[labels == 4], labels[labels == 4]))
    result = check(digits)
    assert failed(result) == {"examples of each class"}
    assert "only '4' occurs" in finding(result, "examples of each class").found


def test_an_unbalanced_set(digits: Any) -> None:
    def change(images: np.ndarray, labels: np.ndarray) -> Arrays:
        chosen = (labels != 4) | (np.cumsum(labels == 4) <= 15)
        return images[chosen], labels[chosen]

    damage(digits, change)
    assert failed(check(digits)) == {"class balance"}
    assert check(digits, max_class_ratio=13).passed


def test_too_few_examples(digits: Any) -> None:
    damage(digits, lambda images, labels: (images[:50], labels[:50]))
    result = check(digits)
    assert {"examples", "examples of each class"} <= failed(result)
    assert finding(result, "examples").found == "50 in all"


def test_no_examples_at_all(digits: Any) -> None:
    damage(digits, lambda images, labels: (images[:0], labels[:0]))
    assert failed(check(digits)) == {"examples", "parts"}


def test_test_examples_that_stand_in_train_are_leaks(split: tuple[pa.Table, Params]) -> None:
    table, params = split
    assert validate(table, TASK, params).passed
    images = pixels(table).copy()
    images[1500] = images[20]
    leaked = with_pixels(table, images)
    found = finding(validate(leaked, TASK, params), "leaks")
    assert not found.passed
    assert found.examples == ("all-001500",)
    assert found.found == "1 of 400 test examples stand in another part as well"


def test_an_empty_part_is_named(split: tuple[pa.Table, Params]) -> None:
    table, params = split
    result = validate(table.slice(0, len(table) - 400), TASK, params)
    assert failed(result) == {"parts"}
    assert finding(result, "parts").found == "train: 1397, test: 0"


def test_a_class_missing_in_the_test_part(split: tuple[pa.Table, Params]) -> None:
    table, params = split
    eights = (np.array(table[PART]) == "test") & (np.array(table[LABEL]) == "8")
    result = validate(table.filter(pa.array(~eights)), TASK, params)
    assert failed(result) == {"examples of each class"}
    assert "test: '8' 0" in finding(result, "examples of each class").found


def test_broken_columns_are_all_named(digits: Any) -> None:
    table = TASK.read(digits.paths.raw, digits.params)
    ids = [None, *table[ID].to_pylist()[1:]]
    broken = pa.table({ID: pa.array(ids), LABEL: pa.array(range(len(ids)))})
    (found,) = validate(broken, TASK, digits.params).failed
    assert found.check == "columns"
    for part in ("part is missing", "label is int64", "id is null in 1 rows", "no column of content"):
        assert part in found.found
    assert found.examples == ("row 0",)


def test_repeated_ids_are_named(digits: Any) -> None:
    table = TASK.read(digits.paths.raw, digits.params)
    ids = table[ID].to_pylist()
    ids[5] = ids[4]
    result = validate(table.set_column(table.schema.get_field_index(ID), ID, pa.array(ids)), TASK, digits.params)
    assert failed(result) == {"ids"}
    assert finding(result, "ids").examples == ("all-000004",)


def test_the_stage_names_every_failed_check_at_once_and_still_writes_both_reports(digits: Any, run_stage: Any) -> None:
    def change(images: np.ndarray, labels: np.ndarray) -> None:
        images[3], images[8], labels[40], images[5, 2, 3] = 0, 0, 99, 99

    damage(digits, change)
    ended = run_stage("validate", digits)
    assert ended.code == 1
    expected = {"labels", "value range", "blank images"}
    assert expected <= {line.split(":")[0].strip(" -") for line in ended.err.splitlines() if line.startswith("  - ")}
    for row in ("all-000040", "all-000003, all-000008", "all-000005", "reports/digits/validation.html"):
        assert row in ended.err
    report = read_json(digits.paths.report("validation.json"))
    assert not report["passed"] and expected <= set(report["failed"])
    assert "Failed" in digits.paths.report("validation.html").read_text()


def test_the_stage_passes_sound_data(digits: Any, run_stage: Any) -> None:
    ended = run_stage("validate", digits)
    assert ended.code == 0, ended.err
    assert "1797 examples passed 13 checks" in ended.out
    assert read_json(digits.paths.report("validation.json"))["passed"]


def cut(folder: Path) -> None:
    path = folder / "images.idx"
    path.write_bytes(path.read_bytes()[:-100])


def other_magic(folder: Path) -> None:
    path = folder / "labels.idx"
    path.write_bytes(b"\x1f\x8b\x08\x00" + path.read_bytes()[4:])


def fewer_labels(folder: Path) -> None:
    write_idx(folder / "labels.idx", read_idx(folder / "labels.idx")[:-3])


def no_pixels(folder: Path) -> None:
    write_idx(folder / "images.idx", np.zeros((1797, 0, 8), np.uint8))


def flat_images(folder: Path) -> None:
    write_idx(folder / "images.idx", np.zeros((1797, 64), np.uint8))


@pytest.mark.parametrize(
    ("break_files", "message"),
    [
        (cut, "images.idx promises 1797 x 8 x 8 = 115008 bytes after its header and has 114908"),
        (other_magic, "labels.idx is not an IDX file of unsigned bytes: it begins with 1f8b0800"),
        (fewer_labels, "images.idx has 1797 images, data/digits/raw/labels.idx has 1794 labels"),
        (no_pixels, "images.idx holds images without pixels: 0x8"),
        (flat_images, "images.idx must have 3 dimensions and data/digits/raw/labels.idx 1, found 2 and 1"),
        (lambda folder: (folder / "labels.idx").unlink(), "labels.idx is missing; run the acquire stage"),
    ],
)
def test_files_that_cannot_be_read_are_named_and_reported(
    digits: Any, run_stage: Any, break_files: Callable[[Path], None], message: str
) -> None:
    break_files(digits.paths.raw)
    ended = run_stage("validate", digits)
    assert ended.code == 1
    assert message in ended.err
    assert "Traceback" not in ended.err
    report = read_json(digits.paths.report("validation.json"))
    assert report["failed"] == ["readable files"]
    assert message in digits.paths.report("validation.html").read_text()


def test_parts_of_different_image_size_are_refused(tmp_path: Path, split: tuple[pa.Table, Params]) -> None:
    _, params = split
    for name, side in (("train", 8), ("test", 9)):
        write_idx(tmp_path / f"{name}-i.idx", np.zeros((4, side, side), np.uint8))
        write_idx(tmp_path / f"{name}-l.idx", np.zeros(4, np.uint8))
    with pytest.raises(DataError, match=r"one size in all parts, found test-i.idx 9x9, train-i.idx 8x8"):
        TASK.read(tmp_path, params)
