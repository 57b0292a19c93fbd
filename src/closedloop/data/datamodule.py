"""Batches as slices of one packed tensor, kept on the training device when it fits."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from torch import Tensor

from closedloop.data.tensors import TARGETS
from closedloop.errors import DataError

WHOLE = 1 << 30  # bytes of a split whose order is drawn from all of it
PIECE, POOL = 1 << 20, 256  # of a larger one: bytes that are read together, and how many of them are mixed

Batch = dict[str, Tensor]  # the network's inputs by name, each (B, …), and the targets (B,)


class Batches:
    """Iterates over a split once, optionally in the order drawn from a generator; the last batch may be smaller.

    With `steps`, a batch of examples (B, L, …) comes in pieces of so many steps, one after the other.
    """

    def __init__(self, tensors: dict[str, Tensor], size: int, shuffle_seed: int | None = None, steps: int = 0) -> None:
        self.tensors, self.size, self.shuffle_seed, self.steps = tensors, size, shuffle_seed, steps

    def __len__(self) -> int:
        pieces = math.ceil(self.tensors[TARGETS].shape[1] / self.steps) if self.steps else 1
        return math.ceil(len(self.tensors[TARGETS]) / self.size) * pieces

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._whole():
            if not self.steps:
                yield batch
                continue
            for parts in zip(*(tensor.split(self.steps, dim=1) for tensor in batch.values()), strict=True):
                yield dict(zip(batch, parts, strict=True))

    def _whole(self) -> Iterator[Batch]:
        if self.shuffle_seed is None:
            for parts in zip(*(tensor.split(self.size) for tensor in self.tensors.values()), strict=True):
                yield dict(zip(self.tensors, parts, strict=True))
            return
        targets = self.tensors[TARGETS]
        size = sum(tensor.nbytes for tensor in self.tensors.values()) // len(targets)
        for rows in shuffled(len(targets), size, self.shuffle_seed).to(targets.device).split(self.size):
            yield {name: tensor[rows] for name, tensor in self.tensors.items()}


def shuffled(rows: int, size: int, seed: int) -> Tensor:
    """An order of rows of `size` bytes each, drawn on the CPU, so that it is the same on every device.

    Of a split that may not fit into memory, pieces are drawn, each of neighbours on the disk, and the rows of POOL
    pieces at a time are mixed: rows from everywhere would each wait for the disk.
    """
    generator = torch.Generator().manual_seed(seed)
    if rows * size <= WHOLE:
        return torch.randperm(rows, generator=generator)
    length = max(1, PIECE // size)
    found = []
    for pieces in torch.randperm(math.ceil(rows / length), generator=generator).split(POOL):
        members = (pieces[:, None] * length + torch.arange(length)).flatten()
        members = members[members < rows]
        found.append(members[torch.randperm(len(members), generator=generator)])
    return torch.cat(found)


class PackedDataModule(pl.LightningDataModule):
    """The training and validation splits of packed tensors."""

    def __init__(
        self, train: Path, validation: Path, batch_size: int, seed: int, device_memory_share: float, *, steps: int = 0
    ) -> None:
        """`steps`: of the pieces that training examples come in; 0: they come whole."""
        super().__init__()
        self.steps = steps
        self.files = {"train": train, "validation": validation}
        self.batch_size, self.seed, self.device_memory_share = batch_size, seed, device_memory_share
        self.tensors: dict[str, dict[str, Tensor]] = {}

    def setup(self, stage: str) -> None:  # noqa: ARG002  Lightning's signature
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        for split, path in self.files.items():
            if not path.is_file():
                raise DataError(f"{path} is missing; run the preprocess stage")
            tensors = load_file(path)
            size = sum(tensor.nbytes for tensor in tensors.values())
            if size <= self.device_memory_share * _free_memory(device):
                tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
            self.tensors[split] = tensors

    def train_dataloader(self) -> Batches:
        epoch = self.trainer.current_epoch if self.trainer else 0
        # the order depends on seed and epoch alone, so that a resumed run draws what an undisturbed one would
        return Batches(self.tensors["train"], self.batch_size, self.seed * 1_000_003 + epoch, self.steps)

    def val_dataloader(self) -> Batches:
        return Batches(self.tensors["validation"], self.batch_size * (1 if self.steps else 4))


def _free_memory(device: torch.device) -> float:
    """Free bytes on a device; host memory is where the tensors are already."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")
