"""Image files as users have them, and as nobody should."""

import io
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from closedloop.errors import DataError
from closedloop.tasks.images import archive, pictures
from closedloop.tasks.images.arrays import read_arrays
from closedloop.tasks.images.folder import read_folder
from closedloop.tasks.images.pictures import fitted, luminance, read_picture
from closedloop.tasks.images.raw import read_examples, unreadable
from closedloop.tasks.schema import ArraysPart, ImageFolder, ImagePart

PART = ImagePart(split="all", archive="a.zip")
PLAIN = ImageFolder(name="image_folder", parts=[PART])
RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def png(levels: NDArray[np.uint8], form: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    Image.fromarray(levels).save(target, form, **options)
    return target.getvalue()


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


def saved(image: Image.Image, form: str = "PNG", **options: object) -> NDArray[np.uint8]:
    target = io.BytesIO()
    image.save(target, form, **options)
    return read_picture(target.getvalue())


def test_every_usual_mode_is_read_as_a_person_sees_it() -> None:
    grey, colour = Image.fromarray(RAMP), Image.fromarray(np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=-1))
    assert np.array_equal(saved(grey), RAMP)
    assert np.array_equal(saved(colour), np.asarray(colour))
    assert np.array_equal(saved(colour.convert("RGBA")), np.asarray(colour))
    assert np.array_equal(saved(grey.convert("P")).max(axis=2), RAMP)
    assert np.array_equal(saved(Image.fromarray(RAMP.astype(np.uint16) * 257)), RAMP)  # 16 bits
    assert np.abs(saved(colour.convert("CMYK"), "TIFF").astype(int) - np.asarray(colour)).max() <= 2
    assert np.array_equal(saved(grey, "BMP"), RAMP) and np.array_equal(saved(grey, "TIFF"), RAMP)


def test_a_photograph_stands_upright_as_its_camera_has_noted() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    assert np.array_equal(saved(Image.fromarray(RAMP), "PNG", exif=exif), np.rot90(RAMP, -1))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**24 - 1))
def test_grey_of_a_colour_is_pillows(code: int) -> None:
    colour = np.array([[[code >> 16, code >> 8 & 255, code & 255]]], np.uint8)
    assert luminance(colour)[0, 0] == np.asarray(Image.fromarray(colour).convert("L"))[0, 0]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 80))
def test_no_bytes_break_the_reader(noise: bytes, kept: int) -> None:
    whole = png(RAMP)
    for content in (noise, whole[:kept] + noise, whole[: len(whole) - kept]):
        try:
            assert read_picture(content).dtype == np.uint8
        except ValueError as error:
            assert str(error)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    content = png(RAMP)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 11)
    monkeypatch.setattr(Image.Image, "load", lambda _image: pytest.fail("unpacked"))
    with pytest.raises(ValueError, match="3 x 4 pixels, more than 11"):
        read_picture(content)


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_an_image_is_brought_to_a_size(fit: pictures.Fit) -> None:
    white = np.full((10, 20), 255, np.uint8)
    found = fitted(white, (8, 8), fit)
    assert found.shape == (8, 8)
    assert (found.min() == 0) == (fit == "pad")  # black above and below
    assert np.array_equal(fitted(RAMP, (3, 4), fit), RAMP)


def test_files_that_are_no_images_are_named_and_the_others_read(tmp_path: Path) -> None:
    files = {
        "top/cat/1.png": png(RAMP),
        "top/cat/deeper/2.jpg": png(RAMP, "JPEG"),
        "top/dog/3.png": png(np.random.default_rng(0).integers(256, size=(40, 40), dtype=np.uint8))[:500],
        "top/dog/4.png": b"GIF89a, it says",
        "top/dog/5.png": png(RAMP),
        "top/dog/.hidden.png": b"",
        "__MACOSX/top/dog/._5.png": b"",
        "top/README.md": b"about",
    }
    found = read_folder(packed(tmp_path, files), PART, PLAIN)
    assert sorted(zip(found.names, found.labels, strict=True)) == [
        ("top/cat/1.png", "cat"),
        ("top/cat/deeper/2.jpg", "cat"),
        ("top/dog/5.png", "dog"),
    ]
    assert found.faults.keys() == {"top/dog/3.png", "top/dog/4.png"}
    assert "damaged" in found.faults["top/dog/3.png"] and "is no PNG" in found.faults["top/dog/4.png"]


def test_odd_sizes_are_named_with_the_way_out_and_fitted_where_it_is_taken(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a/1.png": png(RAMP), "a/2.png": png(RAMP), "b/odd.png": png(RAMP.T)})
    with pytest.raises(DataError, match=r"1 of 3 images are not 3 x 4 .*b/odd\.png 4 x 3; set source\.format\.size"):
        read_folder(path, PART, PLAIN)
    sized = PLAIN.model_copy(update={"size": (5, 5)})
    assert read_folder(path, PART, sized).images(1).shape == (3, 5, 5)


def test_grey_saved_in_colour_is_grey_and_one_colour_makes_all_of_them_coloured(tmp_path: Path) -> None:
    grey = np.repeat(RAMP[..., None], 3, axis=2)
    path = packed(tmp_path, {"a/1.png": png(grey), "b/2.png": png(RAMP)})
    assert not read_folder(path, PART, PLAIN).coloured
    red = grey * np.array([1, 0, 0], np.uint8)
    path = packed(tmp_path, {"a/1.png": png(red), "b/2.png": png(RAMP)})
    found = read_folder(path, PART, PLAIN)
    assert found.coloured
    assert np.array_equal(found.images(3), np.stack([red, grey]))


def test_an_archive_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path, {"a/1.png": png(RAMP), "a/../../../evil.png": png(RAMP), "/abs/b/2.png": png(RAMP)})
    found = {str(file.path): file.fault for file in archive.read_files(path)}
    assert found["a/1.png"] == ""
    assert all("leads out" in fault for name, fault in found.items() if name != "a/1.png")
    linked = tmp_path / "links.tar"
    with tarfile.open(linked, "w") as target:
        link = tarfile.TarInfo("a/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        target.addfile(link)
    (only,) = archive.read_files(linked)
    assert "link" in only.fault and not only.content
    monkeypatch.setattr(archive, "SPARE_BYTES", 0)
    with pytest.raises(DataError, match="refused as a bomb"):
        list(archive.read_files(packed(tmp_path, {"a/1.png": bytes(1_000_000)})))
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="neither a zip nor a tar"):
        list(archive.read_files(path))


def arrays(folder: Path, **named: object) -> Path:
    path = folder / "a.npz"
    np.savez(path, **named)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (np.zeros((2, 3, 4), np.uint8), (2, 3, 4)),
        (np.zeros((2, 3, 4, 1), np.uint8), (2, 3, 4)),
        (np.ones((2, 3, 4, 3), np.float32), (2, 3, 4, 3)),
    ],
)
def test_arrays_are_read(tmp_path: Path, images: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    part, classes = ArraysPart(split="all", file="a.npz"), ["no", "yes"]
    for labels in (np.array([1, 0]), np.array(["yes", "no"])):
        levels, names = read_arrays(arrays(tmp_path, images=images, labels=labels), part, classes)
        assert (levels.shape, levels.dtype, names) == (shape, np.uint8, ["yes", "no"])
        assert levels.max() == (255 if images.dtype == np.float32 else 0)


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"images": np.zeros((2, 3), np.uint8), "labels": [0, 1]}, r"has the shape \(2, 3\)"),
        ({"images": np.zeros((2, 3, 4), np.int64), "labels": [0, 1]}, "images are uint8"),
        ({"images": np.full((2, 3, 4), 2.0), "labels": [0, 1]}, "floats from 2 to 2"),
        ({"images": np.full((2, 3, 4), np.nan), "labels": [0, 1]}, "must be from 0 to 1"),
        ({"images": np.zeros((2, 3, 4), np.uint8), "labels": [0]}, "holds 2 images"),
        ({"images": np.zeros((2, 3, 4), np.uint8), "labels": [0.5, 1]}, "labels are class names"),
        ({"images": np.array([{}, {}], object), "labels": [0, 1]}, "Python objects"),
        ({"pictures": np.zeros((2, 3, 4), np.uint8), "labels": [0, 1]}, "holds no array 'images', only pictures"),
    ],
)
def test_arrays_of_another_form_are_refused(tmp_path: Path, named: dict[str, object], why: str) -> None:
    with pytest.raises(DataError, match=why):
        read_arrays(arrays(tmp_path, **named), ArraysPart(split="all", file="a.npz"), ["no", "yes"])


def test_files_of_the_same_name_in_two_archives_are_told_apart(tmp_path: Path) -> None:
    for name, levels in (("train.zip", RAMP), ("test.zip", RAMP + 1)):
        packed(tmp_path, {"cat/1.png": png(levels), "dog/bad.png": b"no"}).rename(tmp_path / name)
    parts = [ImagePart(split=split, archive=f"{split}.zip") for split in ("train", "test")]
    params = SimpleNamespace(source=SimpleNamespace(format=ImageFolder(name="image_folder", parts=parts)))
    table = read_examples(tmp_path, params)  # type: ignore[arg-type]
    assert table.column("id").to_pylist() == ["train.zip/cat/1.png", "test.zip/cat/1.png"]
    faults, files = unreadable(table)
    assert (sorted(faults), files) == (["test.zip/dog/bad.png", "train.zip/dog/bad.png"], 4)


def tarred(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "a.tar.gz"
    with tarfile.open(path, "w:gz") as target:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    return path


def test_a_packed_tar_is_read_like_a_zip(tmp_path: Path) -> None:
    files = {"b/2.png": png(RAMP + 1), "a/1.png": png(RAMP)}
    of_tar, of_zip = (read_folder(pack(tmp_path, files), PART, PLAIN) for pack in (tarred, packed))
    assert [of_tar.labels[row] for row in of_tar.order()] == ["a", "b"]
    assert np.array_equal(of_tar.images(1), np.stack([RAMP, RAMP + 1]))
    assert np.array_equal(of_zip.images(1), of_tar.images(1))


@pytest.mark.parametrize("form", ["zip", "tar", "npz"])
def test_damaged_bytes_are_read_or_refused_never_a_crash(tmp_path: Path, form: str) -> None:
    if form == "npz":
        path = arrays(tmp_path, images=np.zeros((2, 3, 4), np.uint8), labels=[0, 1])
    else:
        path = (packed if form == "zip" else tarred)(tmp_path, {"a/1.png": png(RAMP), "b/2.png": png(RAMP)})
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 5):
        for content in (whole[:place], whole[:place] + b"\xff\xff" + whole[place + 2 :]):
            path.write_bytes(content)
            try:
                if form == "npz":
                    read_arrays(path, ArraysPart(split="all", file="a.npz"), ["no", "yes"])
                else:
                    read_folder(path, PART, PLAIN)
            except DataError as error:
                assert str(path) in str(error)
                refused += 1
    assert refused > 10


def test_an_array_that_promises_more_than_there_is_memory_is_refused(tmp_path: Path) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (1 << 50, 8, 8)})
    path = packed(tmp_path, {"images.npy": head.getvalue(), "labels.npy": head.getvalue()})
    with pytest.raises(DataError, match="is damaged"):
        read_arrays(path, ArraysPart(split="all", file="a.zip"), ["no", "yes"])
