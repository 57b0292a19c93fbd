"""Data that ship inside an installed package."""

from pathlib import Path

import numpy as np

from closedloop.data.idx import write_idx
from closedloop.tasks.schema import IdxPart


def write_digits(raw: Path, part: IdxPart) -> str:
    """Write scikit-learn's 1,797 scanned digits as IDX, images (N, 8, 8) of 0..16; return where they came from."""
    import sklearn
    from sklearn.datasets import load_digits

    content = load_digits()
    write_idx(raw / part.images, content.images.astype(np.uint8))
    write_idx(raw / part.labels, content.target.astype(np.uint8))
    return f"sklearn.datasets.load_digits of scikit-learn {sklearn.__version__}"
