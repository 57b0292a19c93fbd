"""Data that ship inside an installed package, or that one makes."""

from pathlib import Path

import numpy as np
import sklearn

from closedloop.data.idx import write_idx
from closedloop.files import write_text
from closedloop.tasks.schema import Episodes, Idx, IdxPart, RawFormat


def write_embedded(raw: Path, config: RawFormat) -> str:
    """Write the data that ship in the format of the configuration; return where they came from."""
    if isinstance(config, Episodes):
        return _cartpole(raw / config.parts[0].file, config)
    name = _digits(raw, config.parts[0]) if isinstance(config, Idx) else _diabetes(raw / config.parts[0].files[0])
    return f"sklearn.datasets.{name} of scikit-learn {sklearn.__version__}"


def _digits(raw: Path, part: IdxPart) -> str:
    """1,797 scanned digits as IDX, images (N, 8, 8) of 0..16."""
    from sklearn.datasets import load_digits

    content = load_digits()
    write_idx(raw / part.images, content.images.astype(np.uint8))
    write_idx(raw / part.labels, content.target.astype(np.uint8))
    return "load_digits"


def _diabetes(path: Path) -> str:
    """442 patients as CSV: ten measurements, and how far the disease had come a year later."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True, scaled=False).frame
    whole = [name for name in frame if (frame[name] % 1 == 0).all()]  # as people write them: 59 and not 59.0
    frame = frame.astype(dict.fromkeys(whole, int)).rename(columns={"target": "progression"})
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))
    return "load_diabetes"


def _cartpole(path: Path, config: Episodes) -> str:
    """Episodes as CSV: where each begins, and its physics."""
    import gymnasium
    import pandas as pd

    from closedloop.tasks.control.cartpole import OBSERVATION, PHYSICS, starts

    frame = pd.DataFrame(starts(config.count, config.seed), columns=list(OBSERVATION))
    for name, value in zip(PHYSICS, (config.gravity, config.pole_length), strict=True):
        frame[name] = value
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))
    return f"CartPole-v1 of gymnasium {gymnasium.__version__}, seed {config.seed}"
