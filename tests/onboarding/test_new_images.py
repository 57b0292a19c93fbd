"""`closedloop new` on folders of images."""

from pathlib import Path

import numpy as np
import pytest
from own_data import User
from PIL import Image

from closedloop.data.examples import read_examples
from closedloop.errors import DataError
from closedloop.paths import Paths
from closedloop.preparation.raw import read_raw
from closedloop.preparation.validation import validate
from closedloop.sources.acquire import acquire
from closedloop.tasks import get_task
from closedloop.tasks.images.request import pixels
from pictures import SHAPES, shape, write_digits


def shapes(folder: Path, each: int, sides: tuple[int, ...] = (12,), suffix: str = "png") -> Path:
    rng = np.random.default_rng(0)
    for name in SHAPES:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            side = sides[number % len(sides)]
            Image.fromarray(shape(name, rng, side)).save(folder / name / f"{number}.{suffix}")
    return folder


def test_grey_images_of_one_size_need_no_size(user: User, tmp_path: Path) -> None:
    told = " ".join(user.new(write_digits(tmp_path / "scans", 300)).split())
    assert "300 images" in told and "grey, 8 x 8 pixels" in told
    found = user.format
    assert found["channels"] == 1 and "size" not in found
    user.prepare()
    train = read_examples(Paths("mine", user.root).examples("train"))
    assert pixels(train).shape[1:] == (8, 8)


def test_official_parts_in_colour_are_kept_and_checked(user: User, tmp_path: Path) -> None:
    shapes(tmp_path / "photos/train", 60, suffix="jpg")
    shapes(tmp_path / "photos/test", 20, suffix="bmp")
    user.new(tmp_path / "photos")
    assert [part["folder"] for part in user.format["parts"]] == ["train", "test"]
    paths, params, task = Paths("mine", user.root), user.params, get_task("images")
    acquire(params, paths)
    examples = read_raw(paths.raw, params)
    result = validate(examples, task, params)
    assert result.passed and {part: sum(of.values()) for part, of in result.counts.items()} == {
        "train": 180,
        "test": 60,
    }
    assert "pixel_max" not in " ".join(finding.allowed for finding in result.findings)  # no key of this format


@pytest.mark.parametrize(
    ("sides", "size", "words"),
    [
        ((12, 12, 12, 20), [12, 12], "mostly 12 x 12"),
        ((10, 12, 14, 16, 18), [14, 14], "14 x 14 pixels in the median"),
        ((100, 128), [64, 64], "100 x 100 pixels in the median"),
    ],
)
def test_several_sizes_are_brought_to_one(
    user: User, tmp_path: Path, sides: tuple[int, ...], size: list[int], words: str
) -> None:
    told = " ".join(user.new(shapes(tmp_path / "photos", 40, sides)).split())
    assert f"{len(set(sides))} sizes, {words}" in told
    assert user.format["size"] == size


def test_nothing_that_can_be_read_is_told(user: User, tmp_path: Path) -> None:
    (tmp_path / "photos/cat").mkdir(parents=True)
    (tmp_path / "photos/cat/1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"holds no image that can be read: cat/1\.png is no PNG"):
        user.new(tmp_path / "photos")
