"""Images that spill into a file are the same as those that stay in memory."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from test_image_files import packed, png

from closedloop.data import spill
from closedloop.data.array_columns import to_column
from closedloop.data.idx import write_idx
from closedloop.errors import DataError
from closedloop.tasks.images.arrays import read_arrays
from closedloop.tasks.images.raw import read_examples
from closedloop.tasks.images.request import pixels
from closedloop.tasks.images.task import TASK
from closedloop.tasks.schema import ArraysPart, Idx, IdxPart, ImageArrays, ImageFolder, ImagePart

PART = ArraysPart(split="all", file="a.npz")
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 5, 6), np.uint8)
LABELS = np.arange(40) % 2


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "IN_MEMORY", 100)
    monkeypatch.setattr(spill, "BLOCK", 100)
    monkeypatch.setattr("closedloop.tasks.images.folder.BLOCK", 100)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        IMAGES[..., None],
        np.stack([IMAGES, IMAGES, 255 - IMAGES], axis=-1),
        IMAGES / 255,
        np.asfortranarray(IMAGES),
    ],
    ids=["grey", "one channel", "colour", "floats", "columns first"],
)
def test_arrays_are_read_a_block_at_a_time(tmp_path: Path, images: NDArray[np.generic], save: object) -> None:
    save(tmp_path / "a.npz", images=images, labels=LABELS)  # type: ignore[operator]
    levels, names = read_arrays(tmp_path / "a.npz", PART, ["no", "yes"])
    expected = np.stack([IMAGES, IMAGES, 255 - IMAGES], axis=-1) if images.shape[-1] == 3 else IMAGES
    assert np.array_equal(levels, expected)
    assert names == ["no", "yes"] * 20
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.usefixtures("little_memory")
def test_an_array_with_other_bytes_than_its_checksum_says_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[600] ^= 1  # a pixel
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        read_arrays(tmp_path / "a.npz", PART, ["no", "yes"])


def examples_of(raw: Path, source: object) -> SimpleNamespace:
    params = SimpleNamespace(source=SimpleNamespace(format=source), task=SimpleNamespace(classes=["no", "yes"]))
    return read_examples(raw, params)  # type: ignore[arg-type, return-value]


def sources(raw: Path) -> list[object]:
    """The same images in each form, and what is made of them."""
    np.savez(raw / "a.npz", images=IMAGES, labels=LABELS)
    write_idx(raw / "images", np.minimum(IMAGES, 100))
    write_idx(raw / "labels", LABELS.astype(np.uint8))
    files = {f"{'no' if row < 20 else 'yes'}/{99 - row}.png": png(image) for row, image in enumerate(IMAGES)}
    files["yes/00.png"] = png(np.stack([IMAGES[0]] * 2 + [IMAGES[1]], axis=-1))  # colours come late
    packed(raw, files)
    idx = IdxPart(split="all", images="images", labels="labels")
    return [
        ImageArrays(name="image_arrays", parts=[PART]),
        ImageArrays(name="image_arrays", parts=[PART], channels=3, size=(4, 4), fit="crop"),
        Idx(name="idx", parts=[idx], pixel_max=100),
        ImageFolder(name="image_folder", parts=[ImagePart(split="all", archive="a.zip")]),
        ImageFolder(name="image_folder", parts=[ImagePart(split="all", archive="a.zip")], channels=1),
    ]


@pytest.mark.parametrize("form", range(5))
def test_examples_hashes_and_transform_are_those_that_memory_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: int
) -> None:
    source = sources(tmp_path)[form]
    roomy = examples_of(tmp_path, source)
    monkeypatch.setattr(spill, "IN_MEMORY", 100)
    monkeypatch.setattr(spill, "BLOCK", 100)
    monkeypatch.setattr("closedloop.tasks.images.folder.BLOCK", 100)
    scarce = examples_of(tmp_path, source)
    assert scarce.equals(roomy)
    hashes = TASK.fingerprints(scarce)  # type: ignore[arg-type]
    assert len(set(hashes.tolist())) == scarce.num_rows
    monkeypatch.undo()
    assert np.array_equal(TASK.fingerprints(roomy), hashes)  # type: ignore[arg-type]


def test_moments_are_those_of_all_pixels(little_memory: None) -> None:  # noqa: ARG001
    import pyarrow as pa

    colours = np.stack([IMAGES, IMAGES // 2, 255 - IMAGES], axis=-1)
    form = SimpleNamespace(name="image_arrays", fit_to=None)
    params = SimpleNamespace(source=SimpleNamespace(format=form), task=SimpleNamespace(target="classes"))
    fitted = TASK.fit(pa.table({"image": to_column(colours)}), params)  # type: ignore[arg-type]
    assert fitted.mean == pytest.approx((colours / 255).mean(axis=(0, 1, 2)))  # type: ignore[attr-defined]
    assert fitted.std == pytest.approx((colours / 255).std(axis=(0, 1, 2)))  # type: ignore[attr-defined]
    assert pixels(pa.table({"image": to_column(colours)})).shape == colours.shape
