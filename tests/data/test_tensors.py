"""Packed tensors, written a block at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save

from closedloop.data.tensors import KINDS, read_cardinalities, read_tensors, write_tensors
from closedloop.errors import DataError

KIND = st.sampled_from([*KINDS])
SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)
ARRAYS = st.dictionaries(st.text("abcxyz_é", min_size=1, max_size=6), st.tuples(KIND, SHAPES), min_size=1, max_size=4)


@given(ARRAYS, st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_a_file_written_in_blocks_is_the_one_that_the_library_writes(
    tmp_path_factory: pytest.TempPathFactory, kinds: dict[str, tuple[str, tuple[int, ...]]], lengths: list[int]
) -> None:
    rng, rows = np.random.default_rng(0), sum(lengths)
    whole = {name: rng.integers(0, 100, (rows, *shape)).astype(kind) for name, (kind, shape) in kinds.items()}
    path = tmp_path_factory.mktemp("tensors") / "some.safetensors"
    write_tensors(path, cut(whole, lengths), rows, {"a": [3]})
    assert path.read_bytes() == save(whole, {"cardinalities": '{"a": [3]}'})
    assert read_cardinalities(path) == {"a": [3]}
    found = read_tensors(path)
    assert found.keys() == whole.keys()
    assert all(np.array_equal(found[name], whole[name]) for name in whole)


def cut(whole: dict[str, NDArray[Any]], lengths: list[int]) -> list[dict[str, NDArray[Any]]]:
    stops = np.cumsum(lengths)
    return [
        {name: array[stop - length : stop] for name, array in whole.items()}
        for stop, length in zip(stops, lengths, strict=True)
    ]


@pytest.mark.parametrize(
    "second",
    [
        {"a": np.zeros((2, 3), np.float32), "b": np.zeros(2, np.int64)},
        {"a": np.zeros((2, 2), np.float64), "b": np.zeros(2, np.int64)},
        {"a": np.zeros((2, 2), np.float32)},
        {"a": np.zeros((2, 2), np.float32), "b": np.zeros(1, np.int64)},
        {"a": np.zeros((1, 2), np.float32), "b": np.zeros(1, np.int64)},
    ],
)
def test_blocks_that_do_not_fit_together_leave_no_file(tmp_path: Path, second: dict[str, NDArray[Any]]) -> None:
    first = {"a": np.zeros((1, 2), np.float32), "b": np.zeros(1, np.int64)}
    with pytest.raises(ValueError, match=r"go on as|were to come"):
        write_tensors(tmp_path / "some.safetensors", [first, second], 3)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    write_tensors(path, [{"a": np.arange(5)}], 5)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"some\.safetensors is not readable"):
        read_tensors(path)
