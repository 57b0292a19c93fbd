"""The order of training examples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.data import datamodule
from closedloop.data.datamodule import shuffled


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(1, 5000), st.integers(0, 9), st.sampled_from([0, 1 << 30]))
def test_every_row_comes_once_and_the_seed_decides_the_order(rows: int, size: int, seed: int, whole: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datamodule, "WHOLE", whole)
        patch.setattr(datamodule, "PIECE", 20_000)
        patch.setattr(datamodule, "POOL", 8)
        order = shuffled(rows, size, seed)
        assert torch.equal(order.sort().values, torch.arange(rows))
        assert torch.equal(order, shuffled(rows, size, seed))


def test_a_split_larger_than_memory_is_read_in_pieces_and_mixed_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datamodule, "WHOLE", 0)
    rows, size = 102_400, 16_384  # 1.7 GB; 64 rows a piece, 16,384 a pool
    order = shuffled(rows, size, 0)
    pool = order[:16_384]
    assert len(torch.unique(pool // 64)) == 256  # whole pieces, none of another pool
    assert not set((pool // 64).tolist()) & set((order[16_384:] // 64).tolist())
    batch = order[:512].double() / rows  # from everywhere: classes that stand one after the other are mixed
    assert batch.mean().item() == pytest.approx(0.5, abs=0.05)
    assert batch.histc(10, 0, 1).min().item() > 20
    assert not torch.equal(order, shuffled(rows, size, 1))


def test_a_split_that_fits_is_drawn_from_all_of_it() -> None:
    expected = torch.randperm(1000, generator=torch.Generator().manual_seed(7))
    assert torch.equal(shuffled(1000, 784, 7), expected)
