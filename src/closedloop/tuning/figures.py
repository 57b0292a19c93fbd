"""The picture of a search: how it went, what mattered, which values did well."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from closedloop.evaluation.figures import BLUE, GREY, INK, ORANGE, PALE, page, short
from closedloop.tuning.space import Choice, Range, encoded
from closedloop.tuning.study import Search

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENOUGH = 10  # complete trials, below which nothing can be said of what mattered
SHOWN = 12  # keys that the picture has room for: the most important ones


def draw(search: Search, path: Path) -> None:
    """Write a PNG: the scores trial by trial, the importance of each key, and the trials by their values."""
    complete = [trial for trial in search.ended if trial.state.name == "COMPLETE"]
    pruned = [trial for trial in search.ended if trial.state.name == "PRUNED" and trial.value is not None]
    weights = importances(search)
    keys = (list(weights) or list(search.space))[:SHOWN]
    early = len(search.ended) - len(complete)
    subtitle = f"{search.name}: {len(complete)} of {len(search.ended)} trials complete, {early} ended early"
    with page(
        path, max(9.0, 1.5 + 1.35 * len(keys)), 7.6, f"Search for a better {search.params.tune.metric}", subtitle
    ) as figure:
        above, below = figure.subfigures(2, 1, height_ratios=[1, 1.15], squeeze=False)[:, 0]
        history, bars = above.subplots(1, 2, width_ratios=[1.5, 1])
        _history(history, search, complete, pruned)
        _importances(bars, weights, len(complete))
        _coordinates(below.subplots(), search, keys, complete, pruned)


def importances(search: Search) -> dict[str, float]:
    """The share of each key in what sets the best tenth of the trials apart, the greatest first; empty of too few.

    PED-ANOVA: Watanabe, Bansal & Hutter 2023.
    """
    from optuna.importance import get_param_importances

    if sum(trial.state.name == "COMPLETE" for trial in search.ended) < ENOUGH:
        return {}
    return dict(get_param_importances(search.study))


def _history(axes: "Axes", search: Search, complete: list[Any], pruned: list[Any]) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator

    axes.plot([t.number for t in pruned], [t.value for t in pruned], "x", color=GREY, markersize=5, label="pruned")
    axes.plot(
        [t.number for t in complete], [t.value for t in complete], "o", color=BLUE, markersize=5, label="complete"
    )
    if complete:
        ordered = sorted(complete, key=lambda t: t.number)
        better = np.minimum if search.params.tune.goal == "minimize" else np.maximum
        best = better.accumulate([t.value for t in ordered])
        axes.step([t.number for t in ordered], best, where="post", color=ORANGE, linewidth=1.5, label="best so far")
        if all(t.value > 0 for t in [*complete, *pruned]) and "loss" in search.params.tune.metric:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.minorticks_off()
    axes.set(title="trial by trial", xlabel="trial", ylabel=search.params.tune.metric)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.grid(True)
    axes.legend()


def _importances(axes: "Axes", weights: dict[str, float], complete: int) -> None:
    axes.set_title("what mattered" if weights else "what mattered: too few complete trials to tell")
    if not weights:
        axes.set_axis_off()
        return
    names, places = list(weights)[:SHOWN], np.arange(min(len(weights), SHOWN))
    axes.barh(places, [weights[name] for name in names], color=BLUE, height=0.6)
    axes.set_yticks(places, [short(name, 28) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(f"share (PED-ANOVA, {complete} complete trials)")
    axes.grid(True, axis="x")


def _coordinates(axes: "Axes", search: Search, keys: list[str], complete: list[Any], pruned: list[Any]) -> None:
    best, places = search.best, np.arange(len(keys))
    sign = 1 if search.params.tune.goal == "minimize" else -1
    ranked = sorted(complete, key=lambda t: -sign * t.value)  # the best ones on top
    for trial in pruned:
        axes.plot(places, _heights(search, trial, keys), color=PALE, linewidth=0.8)
    for rank, trial in enumerate(ranked):
        share = (rank + 1) / len(ranked)
        axes.plot(places, _heights(search, trial, keys), color=BLUE, alpha=0.12 + 0.6 * share**2, linewidth=1.2)
    if best is not None:
        axes.plot(places, _heights(search, best, keys), color=ORANGE, linewidth=2.5, marker="o", label="the best trial")
        axes.legend(loc="upper right", bbox_to_anchor=(1, 1.13))
    axes.set_title("values: the darker, the better; grey: pruned")
    axes.vlines(places, 0, 1, color=GREY, linewidth=1, zorder=0)
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    for place, key in zip(places, keys, strict=True):
        for height, text in _marks(search.space[key]):
            axes.text(place + 0.04, height, text, fontsize=8, color=INK, va="center", bbox=behind)
    axes.set_xticks(places, [key.replace(".", ".\n", 1) for key in keys])
    axes.set(xlim=(-0.2, len(keys) - 0.4), ylim=(-0.06, 1.06))
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0)
    axes.spines[:].set_visible(False)


def _heights(search: Search, trial: Any, keys: list[str]) -> list[float]:
    return [_height(search.space[key], trial.params[key]) for key in keys]


def _height(distribution: Range | Choice, value: Any) -> float:
    """Where a value stands between the lowest, 0, and the highest, 1."""
    if isinstance(distribution, Choice):
        return [encoded(one) for one in distribution.choice].index(value) / (len(distribution.choice) - 1)
    low, high = distribution.low, distribution.high
    if distribution.log:
        low, high, value = np.log(low), np.log(high), np.log(value)
    return float((value - low) / (high - low))


def _marks(distribution: Range | Choice) -> list[tuple[float, str]]:
    if isinstance(distribution, Choice):
        last = len(distribution.choice) - 1
        return [(place / last, short(str(value), 14)) for place, value in enumerate(distribution.choice)]
    return [(0.0, f"{distribution.low:g}"), (1.0, f"{distribution.high:g}")]
