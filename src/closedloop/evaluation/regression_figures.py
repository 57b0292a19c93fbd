"""The figures of a model that tells numbers."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from closedloop.evaluation.figures import BLUE, GREY, LINE, LINES, ORANGE, end, page
from closedloop.evaluation.numbers import Numbers

DRAWN = 2000  # points of a scatter plot, by chance
COLUMNS, SHOWN = 8, 24  # of the examples that are farthest off


def predicted(found: Numbers, report: dict[str, Any], path: Path) -> None:
    """The true number over the predicted one; orange where the interval does not hold it."""
    coverage, rows = report["metrics"]["coverage"], _drawn(found)
    subtitle = (
        f"vertical: the interval of each; it holds {coverage['value']:.1%} of the true numbers "
        f"({report['confidence']:.0%} interval {coverage['low']:.1%} to {coverage['high']:.1%})"
    )
    with page(path, 7, 6.6, "Predicted and true numbers", subtitle) as figure:
        axes = figure.subplots()
        ends = [min(found.truth.min(), found.value.min()), max(found.truth.max(), found.value.max())]
        axes.plot(ends, ends, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        colours = np.where(found.held[rows], BLUE, ORANGE)
        axes.vlines(found.value[rows], found.low[rows], found.high[rows], color=colours, linewidth=1, alpha=0.18)
        axes.scatter(found.value[rows], found.truth[rows], s=14, c=colours, alpha=0.8, linewidths=0)
        axes.set(xlabel="predicted", ylabel="true")
        axes.grid(True)


def residuals(found: Numbers, report: dict[str, Any], path: Path) -> None:
    """What is left of the true number: over the prediction, and how it is distributed."""
    mae, r2, rows = report["metrics"]["mae"], report["metrics"]["r2"], _drawn(found)
    subtitle = f"true minus predicted; mean absolute error {mae['value']:.4g}, R2 {r2['value']:.3f}"
    with page(path, 9, 4.4, "Residuals", subtitle) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2.4, 1])
        left.axhline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        left.scatter(found.value[rows], found.residuals[rows], s=14, color=BLUE, alpha=0.6, linewidths=0)
        left.set(xlabel="predicted", ylabel="residual")
        right.hist(found.residuals, bins=30, orientation="horizontal", color=BLUE, edgecolor="white")
        right.axhline(found.residuals.mean(), color=ORANGE, linewidth=1.5)
        right.set(xlabel="examples; orange: the mean")
        for axes in (left, right):
            axes.grid(True)


def calibration(table: pd.DataFrame, report: dict[str, Any], path: Path) -> None:
    """The mean of the true numbers for each tenth of the predictions, and how many of these the intervals hold."""
    coverage = report["metrics"]["coverage"]["value"]
    with page(path, 6, 6.4, "By the predicted number", "each point is a tenth of the test examples") as figure:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        ends = [table["predicted"].min(), table["predicted"].max()]
        top.plot(ends, ends, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        top.plot(table["predicted"], table["actual"], "o-", color=BLUE, linewidth=1)
        top.set(ylabel="mean of the true numbers")
        bottom.axhline(coverage, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        bottom.plot(table["predicted"], table["coverage"], "o-", color=BLUE, linewidth=1)
        bottom.set(xlabel="mean of the predictions", ylabel="held", ylim=(0, 1.05))
        for axes in (top, bottom):
            axes.grid(True)


def mistakes(found: Numbers, look: Callable[[int], NDArray[np.uint8] | str], path: Path) -> None:
    """The examples whose prediction is farthest off."""
    chosen = np.argsort(-np.abs(found.residuals), kind="stable")[:SHOWN]
    subtitle = f"the {len(chosen)} of {len(found.ids):,} test examples whose prediction is farthest off"
    lines = -(-len(chosen) // COLUMNS)
    with page(path, 1.25 * COLUMNS, 0.8 + 2.1 * lines, "The worst mistakes", subtitle) as figure:
        grid = np.atleast_1d(figure.subplots(lines, COLUMNS)).reshape(-1)
        for axes in grid:
            axes.set_axis_off()
        for axes, row in zip(grid, chosen.tolist(), strict=False):
            seen = look(row)
            if isinstance(seen, str):
                axes.set_box_aspect(1.28)
                text = [part for line in seen.splitlines() for part in textwrap.wrap(line, LINE)][:LINES]
                axes.text(0, 0.98, "\n".join(text), transform=axes.transAxes, fontsize=5.5, va="top", in_layout=False)
            else:
                axes.imshow(seen, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            colour = BLUE if found.held[row] else ORANGE
            axes.set_title(f"said {found.value[row]:.4g}", color=colour, fontsize=9.5, pad=15, weight="bold")
            axes.text(0, 1.04, f"is {found.truth[row]:.4g}", transform=axes.transAxes, fontsize=9, va="bottom")
            below = f"{found.low[row]:.3g} to {found.high[row]:.3g}\n{end(found.ids[row], 20)}"
            axes.text(0, 0.13, below, transform=axes.transAxes, fontsize=7, color=GREY, va="top", in_layout=False)


def _drawn(found: Numbers) -> NDArray[np.intp]:
    rows = np.arange(len(found.ids))
    return rows if len(rows) <= DRAWN else np.random.default_rng(0).permutation(rows)[:DRAWN]
