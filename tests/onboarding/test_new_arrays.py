"""`closedloop new` on images in arrays: .npz files, and IDX files named like MNIST's."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from own_data import User
from sklearn.datasets import load_digits

from closedloop.data.examples import LABEL, read_examples
from closedloop.data.idx import write_idx
from closedloop.errors import ConfigError, DataError
from closedloop.paths import SPLITS, Paths
from closedloop.tasks.images.request import pixels

DIGITS = load_digits()
COUNT = 300
LEVELS: NDArray[np.uint8] = np.round(DIGITS.images[:COUNT] * 255 / 16).astype(np.uint8)
LABELS: NDArray[np.int64] = DIGITS.target[:COUNT].astype(np.int64)


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def idx(folder: Path, files: dict[str, NDArray[np.uint8]]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in files.items():
        plain = folder / name.removesuffix(".gz")
        plain.parent.mkdir(exist_ok=True)
        write_idx(plain, array)
        if name.endswith(".gz"):
            (folder / name).write_bytes(gzip.compress(plain.read_bytes()))
            plain.unlink()
    return folder


def prepared(user: User) -> dict[bytes, str]:
    """The label of each image, in whatever split."""
    user.prepare()
    tables = [read_examples(Paths("mine", user.root).examples(split)) for split in SPLITS]
    return {
        image.tobytes(): label
        for table in tables
        for image, label in zip(pixels(table), table.column(LABEL).to_pylist(), strict=True)
    }


EXPECTED = {image.tobytes(): str(label) for image, label in zip(LEVELS, LABELS, strict=True)}


def test_images_and_labels_are_known_by_shape_and_type(user: User, tmp_path: Path) -> None:
    path = npz(tmp_path / "digits.npz", images=LEVELS, labels=LABELS)
    told = " ".join(user.new(path).split())
    assert "300 images" in told and "grey, 8 x 8 pixels" in told and "is taken for" not in told
    assert user.params.task.classes == [str(digit) for digit in range(10)]
    assert "CHECK: names of the labels from 0 on, in their order" in user.file.read_text()
    assert prepared(user) == EXPECTED


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("training data", "training targets", "testing data", "testing targets"),
    ],
)
def test_official_parts_are_found_by_their_names(user: User, tmp_path: Path, names: tuple[str, ...]) -> None:
    arrays = (LEVELS[:200, ..., None], LABELS[:200, None], LEVELS[200:, ..., None], LABELS[200:, None])
    told = " ".join(user.new(npz(tmp_path / "digits.npz", **dict(zip(names, arrays, strict=True)))).split())
    assert "official test split" in told and "is taken for" not in told
    assert [(part["split"], part["images"], part["labels"]) for part in user.format["parts"]] == [
        ("train", *names[:2]),
        ("test", *names[2:]),
    ]
    assert prepared(user) == EXPECTED
    assert read_examples(Paths("mine", user.root).examples("test")).num_rows == 100


def test_what_was_guessed_and_left_aside_is_marked(user: User, tmp_path: Path) -> None:
    path = npz(
        tmp_path / "digits.npz",
        arr_0=LEVELS,
        arr_1=LABELS,
        val_images=LEVELS[:20],
        val_labels=LABELS[:20],
        mean=np.zeros(3),
    )
    told = " ".join(user.new(path).split())
    for guess in ("arr_1 is taken for the labels of arr_0", "left aside: val_images (20, 8, 8) uint8, val_labels"):
        assert guess in told
        assert guess in " ".join(user.file.read_text().replace("#", "").split())
    assert prepared(user) == EXPECTED


def test_of_several_columns_of_numbers_the_one_called_labels_is_taken(user: User, tmp_path: Path) -> None:
    told = user.new(npz(tmp_path / "d.npz", pictures=LEVELS, patient=np.arange(COUNT), target=LABELS))
    assert "target is taken for the labels of pictures, and not patient" in " ".join(told.split())
    assert user.format["parts"][0]["labels"] == "target"


def test_numbers_too_rare_to_be_a_class_are_left_out(user: User, tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[:3] = 12
    told = " ".join(user.new(npz(tmp_path / "d.npz", images=LEVELS, labels=labels)).split())
    assert "left out 3 examples of no class: 12 3" in told
    assert user.prepare()["unknown_label"] == 3


def test_named_classes_floats_colours_and_large_images(user: User, tmp_path: Path) -> None:
    large = np.repeat(np.repeat(LEVELS[:120], 10, axis=1), 10, axis=2)
    coloured = np.stack([large, large // 2, large // 3], axis=3) / np.float32(255)
    user.new(npz(tmp_path / "digits.npz", images=coloured, labels=np.array(["even", "odd"])[LABELS[:120] % 2]))
    assert sorted(user.params.task.classes) == ["even", "odd"]
    assert (user.format["channels"], user.format["size"]) == (3, [64, 64])
    user.prepare()
    assert pixels(read_examples(Paths("mine", user.root).examples("train"))).shape[1:] == (64, 64, 3)


def test_dark_images_lower_the_limit_and_are_marked(user: User, tmp_path: Path) -> None:
    user.new(npz(tmp_path / "d.npz", images=LEVELS // 4, labels=LABELS))
    assert user.params.validation.min_value_range == 0.22
    assert "CHECK: the brightest pixel of all reaches 25% of full white" in user.file.read_text()
    user.prepare()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": LEVELS.reshape(COUNT, 64), "y": LABELS},
            r"x is flat, x\.reshape\(N, H, W\).*found: x \(300, 64\) uint8, y",
        ),
        ({"x": LEVELS[:, None], "y": LABELS}, r"x has its channels first, x\.transpose\(0, 2, 3, 1\) puts them last"),
        ({"x": LEVELS.astype(np.int64), "y": LABELS}, "x is int64, save it as uint8"),
        ({"x": LEVELS, "y": LABELS[:9]}, r"holds 300 images in x, and no array of their labels; .*y \(9,\) int64"),
        ({"x": LEVELS, "y": LABELS.astype(float)}, "no array of their labels"),
        ({"x": LEVELS, "a": LABELS, "b": LABELS}, "several arrays that could be their labels: a, b"),
        ({"x": LEVELS, "z": LEVELS, "y": LABELS}, "several arrays of images: x, z; name them x_train"),
        ({"x": LEVELS, "y": LABELS + 1}, "numbers from 1 to 10, and 0 0 times; a number is the place of its class"),
        ({"x": LEVELS, "y": np.zeros(COUNT, int)}, "one class only, '0'"),
        ({"x": LEVELS / 16, "y": LABELS}, "floats from 0 to 15.9375; they must be from 0 to 1, or uint8"),
        ({}, "holds no arrays"),
    ],
)
def test_arrays_that_cannot_be_learnt_from_are_told(
    user: User, tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        user.new(npz(tmp_path / "d.npz", **arrays))
    assert not user.file.exists()


def test_a_damaged_file_and_a_target_are_told(user: User, tmp_path: Path) -> None:
    path = npz(tmp_path / "d.npz", images=LEVELS, labels=LABELS)
    with pytest.raises(ConfigError, match=r"the classes of d\.npz are its labels: leave out TARGET"):
        user.new(path, "labels")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"d\.npz is damaged"):
        user.new(path)


BYTES = LABELS.astype(np.uint8)


@pytest.mark.parametrize(
    "names",
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
        (
            "train-images-idx3-ubyte.gz",
            "train-labels-idx1-ubyte.gz",
            "test-images.idx3-ubyte",
            "test-labels.idx1-ubyte",
        ),
        ("raw/train-images.idx", "raw/train-labels.idx", "raw/test-images.idx.gz", "raw/test-labels.idx.gz"),
    ],
)
def test_idx_files_are_paired_by_their_names(user: User, tmp_path: Path, names: tuple[str, ...]) -> None:
    arrays = (LEVELS[:200], BYTES[:200], LEVELS[200:], BYTES[200:])
    told = " ".join(user.new(idx(tmp_path / "MNIST", dict(zip(names, arrays, strict=True)))).split())
    assert "official test split" in told and "grey, 8 x 8 pixels" in told
    assert (user.format["pixel_max"], [part["split"] for part in user.format["parts"]]) == (255, ["train", "test"])
    assert prepared(user) == EXPECTED


def test_one_set_is_split_a_file_packed_and_not_is_read_once_and_a_lower_scale_is_found(
    user: User, tmp_path: Path
) -> None:
    levels = DIGITS.images[:COUNT].astype(np.uint8)
    folder = idx(tmp_path / "digits", {"images-idx3-ubyte.gz": levels[:5], "labels-idx1-ubyte": BYTES})
    user.new(idx(folder, {"images-idx3-ubyte": levels}))
    assert [file["url"].rpartition("/")[2] for file in user.source["files"]] == [
        "images-idx3-ubyte",
        "labels-idx1-ubyte",
    ]
    assert user.format["pixel_max"] == 16 and "brightest pixel of all" in user.file.read_text()
    assert sum(split["examples"] for split in user.prepare()["splits"].values()) == COUNT


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"train-images-idx3-ubyte": LEVELS},
            "MNIST holds train-images-idx3-ubyte without its labels; images and labels",
        ),
        (
            {
                f"{name}-{what}": array
                for name in "ab"
                for what, array in (("images-idx3-ubyte", LEVELS), ("labels-idx1-ubyte", BYTES))
            },
            "holds 2 sets: a-images-idx3-ubyte, b-images-idx3-ubyte; put the one that is meant into a folder",
        ),
        (
            {"images.idx": LEVELS, "labels.idx": BYTES + 3},
            "MNIST: labels.idx holds numbers from 3 to 12, and 0 0 times",
        ),
        (
            {"images.idx": LEVELS, "labels.idx": BYTES[:-1]},
            "MNIST/images.idx has 300 images, .*MNIST/labels.idx has 299",
        ),
        ({"images.idx": LEVELS[..., None], "labels.idx": BYTES}, r"images.idx has the shape \(300, 8, 8, 1\)"),
    ],
)
def test_idx_files_that_cannot_be_learnt_from_are_told(
    user: User, tmp_path: Path, files: dict[str, NDArray[np.uint8]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        user.new(idx(tmp_path / "MNIST", files))
    assert not user.file.exists()


def test_a_file_with_such_a_name_that_is_no_idx_is_told_where_it_lies(user: User, tmp_path: Path) -> None:
    folder = idx(tmp_path / "MNIST", {"images.idx": LEVELS, "labels.idx": BYTES})
    (folder / "images.idx").write_text("nothing of the kind")
    with pytest.raises(DataError, match=r"MNIST/images\.idx is not an IDX file of unsigned bytes"):
        user.new(folder)
