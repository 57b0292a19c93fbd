"""The figures of training and evaluation, in one style, in colours that colour-blind readers tell apart."""

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from closedloop.evaluation.metrics import confusion_matrix
from closedloop.evaluation.predictions import Predictions
from closedloop.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, INK, GREY, PALE = (
    "#0072B2",
    "#D55E00",
    "#222222",
    "#6B6B6B",
    "#DDDDDD",
)  # blue, vermilion: Okabe & Ito 2008
STYLE: dict[Any, Any] = {  # Any: only matplotlib, imported late, can name its keys
    "text.parse_math": False,  # a dollar sign in a class name is a dollar sign
    "text.color": INK,
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 2,
}
ANNOTATED = 20  # classes up to which a cell of the confusion matrix has room for its count
NAMED = 40  # classes up to which each has room for its name
COLUMNS, SHOWN = 8, 24  # of the picture of mistakes
LINE, LINES = 24, 14  # characters and lines of an example of text in it


@contextmanager
def page(path: Path, width: float, height: float, title: str, subtitle: str) -> "Iterator[Figure]":
    """A figure (inches) with its headings, written to `path` as PNG when the block ends."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    below_headings = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1 - 0.68 / height))
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout=below_headings)  # outside pyplot: no window, no global state
        figure.text(0.1 / width, 1 - 0.12 / height, title, fontsize=13, fontweight="bold", va="top")
        figure.text(0.1 / width, 1 - 0.38 / height, subtitle, fontsize=9.5, color=GREY, va="top")
        yield figure
        with atomic(path) as temporary:
            figure.savefig(temporary, format="png", dpi=150)


def confusion(found: Predictions, path: Path) -> None:
    """Counts by actual and predicted class; the mistakes have a scale of their own, or the diagonal would hide them."""
    from matplotlib.colors import LinearSegmentedColormap

    size = len(found.classes)
    counts = confusion_matrix(found.labels, found.predicted, size)
    wrong = counts.sum() - counts.trace()
    diagonal = np.eye(size, dtype=bool)
    off = np.where(diagonal | (counts == 0), np.nan, counts)
    share = counts.diagonal() / np.maximum(counts.sum(axis=1), 1)
    side = min(3.2 + 0.42 * size, 12)
    subtitle = f"{wrong:,} of {counts.sum():,} test examples wrong (orange); blue: the share found of each class"
    with page(path, side + 0.3, side + 0.5, "Confusion", subtitle) as figure:
        axes = figure.subplots()
        blues = LinearSegmentedColormap.from_list("right", ["#F2F7FB", "#8DBBDB"])
        oranges = LinearSegmentedColormap.from_list("wrong", ["#FBE3D4", ORANGE])
        axes.imshow(np.where(diagonal, share, np.nan), cmap=blues, vmin=min(share.min(), 0.9), vmax=1)
        most = max(3, counts[~diagonal].max())
        axes.imshow(off, cmap=oranges, vmin=0, vmax=most)
        if size <= ANNOTATED:
            for row, column in zip(*np.nonzero(counts), strict=True):
                colour = "white" if off[row, column] > 0.7 * most else INK
                axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=9, color=colour)
        axes.set(xlabel="predicted", ylabel="actual")
        if size <= NAMED:
            names = [short(name, 18) for name in found.classes]
            axes.set_yticks(range(size), names)
            if max(map(len, names)) <= 3:
                axes.set_xticks(range(size), names)
            else:
                axes.set_xticks(range(size), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=PALE if size <= NAMED else "none")
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)


def reliability(table: pd.DataFrame, report: dict[str, Any], path: Path) -> None:
    """Accuracy against confidence by bin, with intervals, over the number of examples in each bin."""
    error = report["metrics"]["calibration_error"]
    subtitle = (
        f"expected calibration error {error['value']:.4f}, {report['confidence']:.0%} interval "
        f"{error['low']:.4f} to {error['high']:.4f}"
    )
    with page(path, 5.6, 6.6, "Reliability of its confidence", subtitle) as figure:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        top.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        top.text(0.02, 0.05, "as accurate as confident", color=GREY, fontsize=8.5, rotation=45, rotation_mode="anchor")
        low, high = table["accuracy"] - table["accuracy_low"], table["accuracy_high"] - table["accuracy"]
        places, heights = table["confidence"].to_numpy(), table["accuracy"].to_numpy()
        top.errorbar(places, heights, yerr=np.stack([low, high]), fmt="o", color=BLUE, elinewidth=1.4, zorder=3)
        top.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03), ylabel="accuracy in the bin, with its interval")
        top.grid(True)
        bottom.bar(
            table["bin_low"],
            table["examples"],
            width=table["bin_high"] - table["bin_low"],
            align="edge",
            color=BLUE,
            edgecolor="white",
        )
        bottom.set_yscale("log")
        bottom.set_ylim(0.7, table["examples"].max() * 2)
        bottom.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        bottom.minorticks_off()
        bottom.set(xlabel="confidence in the predicted class", ylabel="examples")
        bottom.grid(True, axis="y")


def classes(report: dict[str, Any], path: Path) -> None:
    """Recall of each class with its interval; of very many classes, the worst."""
    rows = report["classes"]
    if len(rows) > NAMED:
        rows = sorted(sorted(rows, key=lambda row: row["recall"])[:NAMED], key=rows.index)
    recall, low, high = (np.array([row[key] for row in rows]) for key in ("recall", "recall_low", "recall_high"))
    accuracy = report["metrics"]["accuracy"]["value"]
    which = "" if len(rows) == len(report["classes"]) else f" of the {NAMED} worst of {len(report['classes'])} classes"
    subtitle = f"share found{which}, with {report['confidence']:.0%} score intervals; dashed: accuracy over all"
    with page(path, 7, 1.6 + 0.3 * len(rows), "Recall by class", subtitle) as figure:
        axes = figure.subplots()
        places = np.arange(len(rows))
        axes.axvline(accuracy, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axes.hlines(places, low, high, color=BLUE, linewidth=2, alpha=0.45)
        axes.plot(recall, places, "o", color=BLUE, markersize=7)
        left = low.min() - 0.06 * (1.0 - low.min())
        for place, row in enumerate(rows):
            found = round(row["recall"] * row["support"])
            axes.text(
                1.015, place, f"{found:,} of {row['support']:,}", transform=axes.get_yaxis_transform(), va="center"
            )
        axes.set_yticks(places, [short(row["class"], 30) for row in rows])
        axes.set(xlim=(left, 1.0 + 0.03 * (1 - left)), ylim=(len(rows) - 0.4, -0.6), xlabel="recall", ylabel="class")
        axes.grid(True, axis="x")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)


def mistakes(found: Predictions, look: Callable[[int], NDArray[np.uint8] | str], path: Path) -> None:
    """The examples wrong with the greatest confidence; a first line that these leave open, right with the least."""
    wrong, right = np.flatnonzero(~found.correct), np.flatnonzero(found.correct)
    worst = wrong[np.argsort(-found.confidence[wrong], kind="stable")][:SHOWN]
    unsure = right[np.argsort(found.confidence[right], kind="stable")][: max(0, COLUMNS - len(worst))]
    chosen = np.concatenate([worst, unsure])
    subtitle = f"{len(wrong):,} of {len(found.ids):,} test examples wrong; " + (
        f"the {SHOWN} most confident" if len(wrong) > SHOWN else "orange: wrong, the most confident first"
    )
    if len(unsure):
        subtitle += "; blue: right, the least confident first"
    lines = -(-len(chosen) // COLUMNS)
    seen = [look(int(row)) for row in chosen]
    tall = 2.1 if any(isinstance(one, str) for one in seen) else 1.78  # inches; text fills its place to the edge
    with page(path, 1.25 * COLUMNS, 0.8 + tall * lines, "The worst mistakes", subtitle) as figure:
        grid = np.atleast_1d(figure.subplots(lines, COLUMNS)).reshape(-1)
        for axes in grid:
            axes.set_axis_off()
        for axes, row, one in zip(grid, chosen, seen, strict=False):
            _example(axes, found, int(row), one)


def _example(axes: "Axes", found: Predictions, row: int, seen: NDArray[np.uint8] | str) -> None:
    truth, said = found.classes[found.labels[row]], found.classes[found.predicted[row]]
    if isinstance(seen, str):
        axes.set_box_aspect(1.28)  # room for all lines, and for what stands below
        lines = [part for line in seen.splitlines() for part in textwrap.wrap(line, LINE)][:LINES]
        axes.text(0, 0.98, "\n".join(lines), transform=axes.transAxes, fontsize=5.5, va="top", in_layout=False)
    else:
        axes.imshow(seen, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    colour = BLUE if truth == said else ORANGE
    axes.set_title(f"said {short(said, 9)}", color=colour, fontsize=9.5, pad=15, weight="bold")
    axes.text(0, 1.04, f"is {short(truth, 14)}", transform=axes.transAxes, fontsize=9, va="bottom", in_layout=False)
    below = f"{found.confidence[row]:.1%}  {end(found.ids[row], 14)}"
    height = 0.09 if isinstance(seen, str) else -0.03  # a picture leaves room below itself, a text has its axes whole
    axes.text(0, height, below, transform=axes.transAxes, fontsize=7, color=GREY, va="top", in_layout=False)


def training_curves(history_csv: Path, out_png: Path, losses: tuple[str, str] | None = None) -> None:
    """Loss, accuracy and learning rate by epoch; the epoch with the lowest validation loss is marked.

    `losses` name those of training and of validation where they are two quantities: each then has an axis of its own.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    history = pd.read_csv(history_csv)
    epochs = history["epoch"]
    best = int(history["val/loss"].to_numpy().argmin())
    measure = next(
        name.removeprefix("val/") for name in map(str, history) if name.startswith("val/") and name != "val/loss"
    )
    reached = history[f"val/{measure}"][best]
    subtitle = (
        f"lowest validation loss {history['val/loss'][best]:.4f} in epoch {epochs[best]:g} of {len(epochs)}, "
        f"validation {measure} there {f'{reached:.2%}' if measure == 'accuracy' else f'{reached:.4g}'}"
    )
    marker = "o" if len(epochs) < 3 else ""
    with page(out_png, 10, 4.2, "Training", subtitle) as figure:
        panels = figure.subplots(1, 3, width_ratios=[1, 1, 0.6])
        for axes, name in zip(panels, ("loss", measure), strict=False):
            other = axes.twinx() if losses and name == "loss" else axes
            axes.plot(epochs, history[f"train/{name}"], color=ORANGE, marker=marker, linewidth=1.5, label="training")
            other.plot(epochs, history[f"val/{name}"], color=BLUE, marker=marker, label="validation")
            axes.axvline(epochs[best], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
            other.plot(epochs[best], history[f"val/{name}"][best], "o", color=BLUE, markersize=7)
            if losses and other is not axes:
                other.spines["right"].set_visible(True)
                axes.set_ylabel(f"training: {losses[0]}", color=ORANGE)
                other.set_ylabel(f"validation: {losses[1]}", color=BLUE)
            else:
                axes.legend()
        if losses is None:
            panels[0].set_yscale("log")
            panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            panels[0].minorticks_off()
        panels[2].plot(epochs, history["lr"], color=GREY, marker=marker)
        for axes, name in zip(
            panels, ("loss" if losses else "loss (log scale)", measure, "learning rate"), strict=True
        ):
            axes.set(title=name, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.grid(True)


def short(name: str, longest: int) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def end(name: str, longest: int) -> str:
    """What tells one file from another stands at the end of its path."""
    return name if len(name) <= longest else "…" + name[1 - longest :]
