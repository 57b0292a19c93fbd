"""The picture of runs side by side: each score with its interval, and the gains over the first run."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from closedloop.comparing.comparison import SideBySide
from closedloop.evaluation.figures import BLUE, GREY, ORANGE, page, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 6  # metrics that the picture has room for
ACROSS = 3  # panels in a line


def draw(found: SideBySide, path: Path) -> None:
    """Write a PNG with a panel for each metric of the test split and for each paired gain."""
    scores = [name for name, values in found.scores.items() if any(values)][:SHOWN]
    metrics = list(dict.fromkeys(figure.metric for gain in found.gains for figure in gain.figures))
    panels = len(scores) + len(metrics)
    lines = max(1, -(-panels // ACROSS))
    height = 0.9 + lines * (0.85 + 0.32 * len(found.sides))
    names = ", ".join(f"{side.letter}: {short(side.record.name, 40)}" for side in found.sides[:3])
    with page(path, 11, height, f"{len(found.sides)} runs side by side", names) as figure:
        if not panels:
            figure.text(0.5, 0.3, "no run has been evaluated", ha="center", color=GREY)
            return
        places = np.atleast_1d(figure.subplots(lines, ACROSS, squeeze=False)).reshape(-1)
        for axes, name in zip(places, scores, strict=False):
            _scores(axes, found, name)
        for axes, name in zip(places[len(scores) :], metrics, strict=False):
            _gains(axes, found, name)
        for axes in places[panels:]:
            axes.set_axis_off()


def _scores(axes: "Axes", found: SideBySide, name: str) -> None:
    for place, interval in enumerate(found.scores[name]):
        if interval is None:
            _gap(axes, place, "not evaluated")
        else:
            axes.hlines(place, interval["low"], interval["high"], color=BLUE, alpha=0.45)
            axes.plot(interval["value"], place, "o", color=BLUE)
    _rows(axes, found, name.replace("_", " "))


def _gains(axes: "Axes", found: SideBySide, name: str) -> None:
    axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    for place, gain in enumerate(found.gains, start=1):
        one = next((figure for figure in gain.figures if figure.metric == name), None)
        if one is None:
            _gap(axes, place, "not compared")
        else:
            axes.hlines(place, one.low, one.high, color=ORANGE, alpha=0.45)
            axes.plot(one.gain, place, "o", color=ORANGE)
    _rows(axes, found, f"gain over A: {name.replace('_', ' ')}")


def _gap(axes: "Axes", place: int, why: str) -> None:
    axes.text(0.5, place, why, transform=axes.get_yaxis_transform(), ha="center", va="center", color=GREY, fontsize=8)


def _rows(axes: "Axes", found: SideBySide, title: str) -> None:
    axes.set_title(title)
    axes.set_yticks(range(len(found.sides)), [side.letter for side in found.sides])
    axes.set_ylim(len(found.sides) - 0.5, -0.5)
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.locator_params(axis="x", nbins=4)
