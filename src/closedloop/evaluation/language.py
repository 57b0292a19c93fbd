"""The evaluation of a language model: its surprise at passages, and what it writes."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from closedloop.config import Evaluation
from closedloop.evaluation.figures import BLUE, GREY, INK, ORANGE, page
from closedloop.evaluation.intervals import Interval
from closedloop.evaluation.outcome_report import mean
from closedloop.evaluation.outcomes import NATS, Outcomes

SAMPLES, WRITTEN = 4, 400  # texts that the model goes on with, and characters of each
BEGINNING = 60  # characters of a passage that a sample begins with


def headline(found: Outcomes, config: Evaluation) -> dict[str, Interval]:
    """nats and bits a character and perplexity, each with its interval; passages are resampled, not characters, as
    neighbours have much in common."""
    nats = mean(found, config)

    def scaled(change: Callable[[float], float]) -> Interval:  # a percentile goes with any change that keeps the order
        return Interval(change(nats.value), change(nats.low), change(nats.high), nats.method)

    return {NATS: nats, "bits": scaled(lambda value: value / math.log(2)), "perplexity": scaled(math.exp)}


def surprise(found: Outcomes, report: dict[str, Any], path: Path) -> None:
    """The surprise at each passage, in the order of the text."""
    metrics, simple = report["metrics"], report["baseline"]
    subtitle = (
        f"perplexity {metrics['perplexity']['value']:.3f}, {metrics['bits']['value']:.3f} bits a character; orange: "
        f"the mean of {simple['name']}"
    )
    with page(path, 8, 4.2, "Surprise at the test passages", subtitle) as figure:
        axes = figure.subplots()
        axes.plot(found.values, "o", color=BLUE, markersize=4, alpha=0.7)
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
