"""How far confidence can be believed."""

import numpy as np
import pandas as pd

from closedloop.evaluation.intervals import wilson
from closedloop.evaluation.metrics import confidence_bins
from closedloop.evaluation.predictions import Predictions


def reliability(found: Predictions, bins: int, confidence: float) -> pd.DataFrame:
    """A row for each bin of confidence that holds examples: its bounds, examples, mean confidence, and accuracy with
    the score interval at that level of confidence."""
    in_bin = confidence_bins(found.confidence, bins)
    examples = np.bincount(in_bin, minlength=bins)
    used = np.flatnonzero(examples)
    edges = np.linspace(0, 1, bins + 1)
    right = np.bincount(in_bin, weights=found.correct, minlength=bins)[used]
    low, high = wilson(right, examples[used], confidence)
    return pd.DataFrame(
        {
            "bin_low": edges[used],
            "bin_high": edges[used + 1],
            "examples": examples[used],
            "confidence": np.bincount(in_bin, weights=found.confidence, minlength=bins)[used] / examples[used],
            "accuracy": right / examples[used],
            "accuracy_low": low,
            "accuracy_high": high,
        }
    )
