"""ROC and precision-recall curves: what another threshold than the most probable class would give."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from closedloop.evaluation.figures import BLUE, GREY, ORANGE, page, short
from closedloop.evaluation.metrics import Floats
from closedloop.evaluation.predictions import Predictions

POINTS = 500  # of a curve that are drawn at most
NAMED = 4  # classes of more than two that are told apart: those with the least area


def rates(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats, Floats]:
    """False-positive rate, recall and precision (T,) when all examples from each distinct score up are called positive.

    The first point calls nothing positive; its precision is that of the second.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # of each run of equal scores
    hits, called = np.cumsum(positive[order])[last], last + 1
    precision = hits / called
    false_positives = (called - hits) / max(1, (~positive).sum())
    recall = hits / max(1, positive.sum())
    return np.r_[0, false_positives], np.r_[0, recall], np.r_[precision[:1], precision]


def roc_and_precision(found: Predictions, report: dict[str, Any], path: Path) -> None:
    """Both curves: of two classes those of the second one, of more those of each against the rest."""
    codes = [1] if len(found.classes) == 2 else range(len(found.classes))
    drawn = {code: rates(found.labels == code, found.probabilities[:, code]) for code in codes}
    worst = sorted(codes, key=lambda code: np.trapezoid(drawn[code][1], drawn[code][0]))[
        : NAMED if len(codes) > 1 else 1
    ]
    area = report["metrics"]["roc_auc"]
    what = f"of {found.classes[1]}" if len(codes) == 1 else "of each class against the rest, their mean"
    subtitle = (
        f"area under ROC {what}: {area['value']:.4f}, {report['confidence']:.0%} interval {area['low']:.4f} to "
        f"{area['high']:.4f}"
    )
    with page(path, 10, 5, "Other thresholds", subtitle) as figure:
        left, right = figure.subplots(1, 2)
        left.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        colours = dict(zip(worst, (BLUE, ORANGE, "#009E73", "#CC79A7"), strict=False))
        for code in sorted(codes, key=lambda code: code in colours):  # the named ones lie above the others
            false_positives, recall, precision = (_thinned(rate) for rate in drawn[code])
            style: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "alpha": 0.5}
            if code in colours:
                style = {"color": colours[code], "label": short(found.classes[code], 20)}
            left.plot(false_positives, recall, **style)
            right.plot(recall, precision, **style)
        if len(codes) == 1:
            share = float((found.labels == 1).mean())
            right.axhline(share, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
            right.text(0.01, share + 0.015, "share of the class", color=GREY, fontsize=8.5)
            chosen = found.predicted == 1
            hits = float((chosen & (found.labels == 1)).sum())
            recall_at, called = hits / max(1, (found.labels == 1).sum()), max(1, chosen.sum())
            left.plot((called - hits) / max(1, (found.labels == 0).sum()), recall_at, "o", color=BLUE, markersize=7)
            right.plot(recall_at, hits / called, "o", color=BLUE, markersize=7, label="the most probable class")
        for axes in (left, right):
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            axes.grid(True)
        left.set(title="ROC", xlabel="false-positive rate", ylabel="recall (true-positive rate)")
        right.set(title="precision and recall", xlabel="recall", ylabel="precision")
        right.legend(loc="lower left", bbox_to_anchor=(0.0, 0.02), title=None if len(codes) == 1 else "least area")


def _thinned(rate: Floats) -> Floats:
    kept: Floats = rate[np.unique(np.linspace(0, len(rate) - 1, min(POINTS, len(rate))).astype(int))]
    return kept
