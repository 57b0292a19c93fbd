"""The evaluation of a language model, as it is written to evaluation.json and metrics.json."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from closedloop.config import Evaluation
from closedloop.evaluation.figures import BLUE, GREY, INK, ORANGE, page
from closedloop.evaluation.intervals import Interval, percentile, resampled_sums
from closedloop.evaluation.passages import NATS, Passages

SAMPLES, WRITTEN = 4, 400  # texts that the model goes on with, and characters of each
BEGINNING = 60  # characters of a passage that a sample begins with


def report(task: str, found: Passages, parts: list[str], config: Evaluation) -> dict[str, Any]:
    """Headline metrics over all passages, and nats by part, each with its interval.

    `parts` names the part of the raw data that each passage came from, in their order.
    """
    names = dict(zip(found.ids, parts, strict=True))
    by_part = {part: found.only([name for name, own in names.items() if own == part]) for part in dict.fromkeys(parts)}
    return {
        "task": task,
        "confidence": config.confidence,
        "resamples": config.resamples,
        "seed": config.seed,
        "headline": NATS,
        "examples": len(found.ids),
        "metrics": {name: asdict(interval) for name, interval in headline(found, config).items()},
        "parts": [
            {"part": part, "examples": len(some.ids), NATS: asdict(headline(some, config)[NATS])}
            for part, some in by_part.items()
        ],
    }


def headline(found: Passages, config: Evaluation) -> dict[str, Interval]:
    """nats and bits a character and perplexity, each with its interval; passages are resampled, not characters, as
    neighbours have much in common."""
    sums = resampled_sums(sparse.csr_array(found.nats[:, None]), config.resamples, config.seed)[:, 0] / len(found.ids)
    mean = float(found.nats.mean())
    scales = {
        NATS: (mean, sums),
        "bits": (mean / np.log(2), sums / np.log(2)),
        "perplexity": (np.exp(mean), np.exp(sums)),
    }
    return {name: percentile(float(value), resampled, config.confidence) for name, (value, resampled) in scales.items()}


def flat(report: dict[str, Any]) -> dict[str, float]:
    """The headlines as one flat table, for `dvc metrics show` and `dvc metrics diff`."""
    rows: dict[str, float] = {}
    for name, interval in report["metrics"].items():
        rows |= {name: interval["value"], f"{name}_low": interval["low"], f"{name}_high": interval["high"]}
    return rows | {f"baseline_{NATS}": report["baseline"]["metrics"][NATS]["value"]}


def by_passage(found: Passages) -> pd.DataFrame:
    """A row a passage, in the order of the text."""
    return pd.DataFrame({"passage": range(len(found.ids)), NATS: found.nats})


def surprise(found: Passages, report: dict[str, Any], path: Path) -> None:
    """The surprise at each passage, in the order of the text."""
    metrics, simple = report["metrics"], report["baseline"]
    subtitle = (
        f"perplexity {metrics['perplexity']['value']:.3f}, {metrics['bits']['value']:.3f} bits a character; orange: "
        f"the mean of {simple['name']}"
    )
    with page(path, 8, 4.2, "Surprise at the test passages", subtitle) as figure:
        axes = figure.subplots()
        axes.plot(found.nats, "o", color=BLUE, markersize=4, alpha=0.7)
        axes.axhline(metrics[NATS]["value"], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.axhline(simple["metrics"][NATS]["value"], color=ORANGE, linewidth=1.5)
        axes.set(xlabel="passage", ylabel="nats a character")
        axes.grid(True)


def samples(texts: list[tuple[str, str]], path: Path) -> None:
    """Texts as pictures: how each began, and what the model wrote."""
    with page(
        path, 11, 1.2 + 1.5 * len(texts), "What it writes", "grey: how the text began; temperature 0.8"
    ) as figure:
        for axes, (begun, written) in zip(np.atleast_1d(figure.subplots(len(texts), 1)), texts, strict=True):
            axes.set_axis_off()
            for text, colour, left in ((begun, GREY, 0.0), (written, INK, 0.3)):
                lines = text.strip("\n").splitlines()[:12]
                axes.text(left, 1, "\n".join(lines), fontsize=7.5, color=colour, va="top", family="monospace")
