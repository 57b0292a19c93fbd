"""Where a training tells how it goes, epoch by epoch."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Record(Protocol):
    """A run that is being written to."""

    def log(self, metrics: dict[str, float], step: int) -> None: ...

    def show(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """A picture, grey (H, W) or in colour (H, W, 3)."""


class Nowhere:
    """Keeps nothing."""

    def log(self, metrics: dict[str, float], step: int) -> None: ...

    def show(self, name: str, picture: NDArray[np.uint8], step: int) -> None: ...
