"""The picture of a verdict: how far each column has moved, against how far it may."""

from pathlib import Path
from typing import Any

from closedloop.files import atomic
from closedloop.monitoring.wording import rows_in_words

DRIFTED, QUIET, BOUND = "#c0392b", "#9fb3c8", "#333333"


def draw(report: dict[str, Any], path: Path) -> None:
    """Write a PNG with a horizontal bar for each column's effect size and a mark at the least that counts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = report["columns"][::-1]  # the largest effect on top
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(columns)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(columns))
    effects = [column["effect"] or 0.0 for column in columns]
    colours = [DRIFTED if column["drifted"] else QUIET for column in columns]
    axes.barh(places, effects, color=colours, height=0.7)
    axes.scatter(
        [column["min_effect"] for column in columns],
        places,
        marker="|",
        s=160,
        color=BOUND,
        zorder=3,
        label="least effect that counts",
    )
    for place, column, effect in zip(places, columns, effects, strict=True):
        axes.text(max(effect, column["min_effect"]) + 0.012, place, _note(column), va="center", fontsize=8)
    # a name may hold characters that matplotlib would read as mathematics
    axes.set_yticks(places, [column["name"].replace("$", r"\$") for column in columns], fontsize=9)
    for label, column in zip(axes.get_yticklabels(), columns, strict=True):
        label.set_fontweight("bold" if column["drifted"] else "normal")
    axes.set_xlim(0, 1.18)
    axes.set_xlabel("effect size (numbers: Kolmogorov-Smirnov distance; categories: Cramer's V)", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    axes.set_title(
        f"{report['verdict'].replace('_', ' ')}: {rows_in_words(report['window'])}\n"
        f"against {report['reference_rows']:,} of the reference",
        loc="left",
        fontsize=11,
    )
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _note(column: dict[str, Any]) -> str:
    if column["p_value"] is None:
        return "not tested: no values"
    p = "p < 1e-12" if column["p_value"] < 1e-12 else f"p = {column['p_value']:.2g}"
    return f"drifted, {p}" if column["drifted"] else p
