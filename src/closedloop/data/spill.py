"""Arrays that may be larger than memory: rows that come in blocks spill into a file, which is mapped as an array."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 1 << 28  # bytes that stay there
BLOCK = 1 << 25  # bytes that are worked on at once
MOST_ROWS = 100_000  # of a block: what is made of a row may take more room than the row


def fits(size: int) -> bool:
    """Whether so many bytes stay in memory."""
    return size <= IN_MEMORY


def blocks(rows: int, size: float) -> Iterator[slice]:
    """Slices over so many rows of about `size` bytes each; one, which is empty, where there are none."""
    step = int(min(max(1, BLOCK // max(size, 1)), MOST_ROWS))
    for start in range(0, max(rows, 1), step):
        yield slice(start, min(start + step, rows))


class Spill:
    """Blocks of rows of one shape that become one array.

    Beyond IN_MEMORY they lie in a file without a name in `folder`, which goes with the array, however the process ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[NDArray[Any]] = []
        self._file: IO[bytes] | None = None
        self._like: NDArray[Any] | None = None  # a block without rows
        self.rows = 0

    def add(self, block: NDArray[Any]) -> None:
        """Raises ValueError for a block of another shape or type than those before."""
        if self._like is None:
            self._like = block[:0]
        if (block.shape[1:], block.dtype) != (self._like.shape[1:], self._like.dtype):
            before, now = (f"{one.shape[1:]} of {one.dtype}" for one in (self._like, block))
            raise ValueError(f"rows that were {before} go on as {now}")
        self._waiting.append(block)
        self.rows += len(block)
        waiting = sum(one.nbytes for one in self._waiting)
        if waiting > BLOCK if self._file else not fits(waiting):
            self._write()

    def array(self) -> NDArray[Any]:
        """All rows in the order in which they came; raises ValueError when there was no block."""
        if self._file is None or self._like is None:
            return self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._write()
        self._file.flush()
        return np.memmap(self._file, self._like.dtype, "r", shape=(self.rows, *self._like.shape[1:]))

    def _write(self) -> None:
        self._file = self._file or tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  it goes with the array
        for block in self._waiting:
            self._file.write(np.ascontiguousarray(block).data)
        self._waiting.clear()


def changed(change: Callable[[NDArray[Any]], NDArray[Any]], rows: NDArray[Any], folder: Path) -> NDArray[Any]:
    """change(rows), a block at a time, where each row of the result follows from its own alone."""
    found = Spill(folder)
    for block in blocks(len(rows), rows[:1].nbytes):
        found.add(change(rows[block]))
    return found.array()
