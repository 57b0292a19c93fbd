"""IDX files: what is written is read, and a broken file is told by its kind of damage."""

import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from closedloop.data.idx import read_idx, write_idx
from closedloop.errors import DataError

HEADER = struct.pack(">4B3I", 0, 0, 8, 3, 5, 4, 4)


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)))
def test_what_is_written_is_read(array: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.idx"
        write_idx(path, array)
        np.testing.assert_array_equal(read_idx(path), array)


@given(st.binary(max_size=200))
def test_any_bytes_are_either_an_array_or_a_clear_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.idx"
        path.write_bytes(content)
        try:
            assert read_idx(path).size <= len(content)
        except DataError as error:
            assert "a.idx" in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file of unsigned bytes: it begins with 89504e47"),
        (struct.pack(">4B1I", 0, 0, 0x0D, 1, 0), "begins with 00000d01"),  # IDX, but of floats
        (HEADER[:9], "ends inside its header"),
        (HEADER + bytes(79), "promises 5 x 4 x 4 = 80 bytes after its header and has 79"),
        (HEADER + bytes(81), "promises 5 x 4 x 4 = 80 bytes after its header and has 81"),
        (struct.pack(">4B4I", 0, 0, 8, 4, *[2**32 - 1] * 4), "and has 0"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "images.idx"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_idx(path)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)


def test_a_missing_file_names_the_stage_that_brings_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"images.idx is missing; run the acquire stage"):
        read_idx(tmp_path / "images.idx")
