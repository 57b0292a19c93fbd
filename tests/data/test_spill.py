"""Arrays that may be larger than memory."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.data import spill
from closedloop.data.array_columns import to_array, to_column
from closedloop.data.examples import read_examples, slices, write_examples
from closedloop.data.spill import Spill, blocks, changed

FEW = np.arange(60, dtype=np.uint16).reshape(10, 3, 2)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "IN_MEMORY", 30)
    monkeypatch.setattr(spill, "BLOCK", 30)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(0, 200), st.integers(1, 100))
def test_blocks_become_one_array_in_their_order_whether_they_spill_or_not(
    lengths: list[int], in_memory: int, block: int
) -> None:
    cuts = np.cumsum(lengths)
    rows = np.arange(cuts[-1] * 6, dtype=np.int32).reshape(-1, 3, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "IN_MEMORY", in_memory)
        patch.setattr(spill, "BLOCK", block)
        found = Spill(Path())
        for part in np.split(rows, cuts[:-1]):
            found.add(part)
        assert found.array().dtype == rows.dtype
        assert np.array_equal(found.array(), rows)


@pytest.mark.usefixtures("little_memory")
def test_what_spills_lies_in_a_file_and_leaves_none_behind(tmp_path: Path) -> None:
    found = changed(lambda block: block + 1, FEW, tmp_path)
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, FEW + 1)
    assert list(tmp_path.iterdir()) == []


def test_what_fits_stays_in_memory(tmp_path: Path) -> None:
    assert not isinstance(changed(lambda block: block, FEW, tmp_path), np.memmap)


def test_rows_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    found = Spill(tmp_path)
    found.add(FEW)
    for other in (FEW[:, :2], FEW.astype(np.int16)):
        with pytest.raises(ValueError, match="go on as"):
            found.add(other)


@given(st.integers(0, 10_000), st.integers(1 << 10, 1 << 30))
def test_blocks_cover_every_row_once_and_keep_their_size(rows: int, size: int) -> None:
    found = list(blocks(rows, size))
    assert [block.start for block in found] == [0, *(block.stop for block in found[:-1])]
    assert found[-1].stop == rows
    assert all((block.stop - block.start) * size <= max(spill.BLOCK, size) for block in found)


@pytest.mark.usefixtures("little_memory")
def test_examples_larger_than_memory_are_written_and_read_as_they_are(tmp_path: Path) -> None:
    table = pa.table({"id": [f"{row}" for row in range(10)], "image": to_column(FEW), "label": ["a", "b"] * 5})
    table = table.replace_schema_metadata({"files": "10"})
    mask = np.arange(10) % 3 > 0
    write_examples(tmp_path / "some.parquet", table, mask)
    found = read_examples(tmp_path / "some.parquet")
    assert found.equals(table.filter(pa.array(mask)), check_metadata=True)
    assert pa.concat_tables(slices(found)).equals(found)
    assert np.array_equal(to_array(found.column("image")), FEW[mask])
    assert [path.name for path in tmp_path.iterdir()] == ["some.parquet"]
