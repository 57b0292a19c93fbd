"""How good the answers of a window were, by their labels: accuracy of classes, mean absolute error of numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from closedloop.config import Monitor
from closedloop.data.examples import LABEL
from closedloop.evaluation.outcomes import NATS, RETURN
from closedloop.evaluation.profile import PREDICTION, WIDTH
from closedloop.monitoring.service import share_at_least

ACCURACY, MAE = "accuracy", "mae"
METRICS = (ACCURACY, MAE, NATS, RETURN)  # of which a report has one
NONE = ""  # of answers that no label could judge
ESTIMATED = "estimated_"  # before the metric: without labels


def metric_of(profile: pd.DataFrame) -> str:
    """Which metric the answers of a profile are judged by; NONE where they are not."""
    if NATS in profile:
        return NATS
    if RETURN in profile:
        return RETURN
    if PREDICTION not in profile:
        return NONE
    return MAE if WIDTH in profile else ACCURACY


def in_report(report: dict[str, Any], prefix: str = "") -> tuple[str, dict[str, Any]] | None:
    """The metric of a report and its figures; None where it has none. `prefix`: ESTIMATED for the estimate."""
    return next(((name, report[prefix + name]) for name in METRICS if report.get(prefix + name)), None)


@dataclass(frozen=True)
class Shown:
    """What is known of a window's quality: by labels, or as estimated without them."""

    metric: str
    figure: dict[str, Any]  # value, low, high, reference
    estimated: bool

    def number(self, key: str) -> str:
        return number(self.metric, self.figure[key])


def shown(report: dict[str, Any]) -> Shown | None:
    """The figure that is shown for a window, if there is one."""
    measured, estimated = in_report(report), in_report(report, ESTIMATED)
    if found := measured or estimated:
        return Shown(*found, estimated=measured is None)
    return None


def correctness(profile: pd.DataFrame) -> pd.Series:
    """Whether the predicted class is right, for the rows with a label."""
    labelled = profile[profile[LABEL].notna()]
    right: pd.Series = labelled[PREDICTION] == labelled[LABEL]
    return right


def absolute_errors(profile: pd.DataFrame) -> NDArray[np.float64]:
    """How far the predicted number is off, for the rows with a label."""
    labelled = profile[profile[LABEL].notna()]
    errors: NDArray[np.float64] = np.abs(labelled[PREDICTION].to_numpy(np.float64) - labelled[LABEL].astype(np.float64))
    return errors


def judge_quality(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor) -> dict[str, Any] | None:
    """The window's figure with its bounds and the reference's, over the rows with a label; None with too few."""
    metric = metric_of(reference)
    if metric == NATS:  # a text says by itself how it goes on
        return _judge_mean(reference[NATS].to_numpy(), window[NATS].to_numpy(), config)
    if metric == RETURN:  # of whole episodes: single requests, as the log has them, tell nothing of it
        if RETURN not in window:
            return None
        return _judge_mean(reference[RETURN].to_numpy(), window[RETURN].to_numpy(), config)
    if metric == NONE or window[LABEL].notna().sum() < config.min_labels or not reference[LABEL].notna().any():
        return None
    if metric == MAE:
        return _judge_mean(absolute_errors(reference), absolute_errors(window), config)
    return _judge_accuracy(reference, window, config)


def _judge_accuracy(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor) -> dict[str, Any]:
    right, before = correctness(window), correctness(reference)
    hits = int(right.sum())
    return {
        "value": float(right.mean()),
        "low": share_at_least(hits, len(right), config.confidence),
        "high": 1 - share_at_least(len(right) - hits, len(right), config.confidence),
        "reference": float(before.mean()),
        "labelled_rows": len(right),
        "method": "Clopper-Pearson, each end by itself",
    }


def _judge_mean(before: NDArray[np.float64], errors: NDArray[np.float64], config: Monitor) -> dict[str, Any]:
    """Errors have a long tail to the right, with which the lower end of Student's interval errs on the safe side."""
    value = float(errors.mean())
    some = len(errors) > 1
    reach = float(stats.t.ppf(config.confidence, len(errors) - 1) * stats.sem(errors)) if some else np.inf
    return {
        "value": value,
        "low": max(0.0, value - reach),
        "high": value + reach,
        "reference": float(before.mean()),
        "labelled_rows": len(errors),
        "method": "Student's interval, each end by itself",
    }


def has_worsened(metric: str, figure: dict[str, Any] | None, config: Monitor) -> bool:
    """Whether the whole interval lies beyond what the reference and the configuration allow."""
    if figure is None:
        return False
    if metric == RETURN:
        return bool(figure["high"] < figure["reference"] * (1 - config.max_return_drop))
    if metric != ACCURACY:
        return bool(figure["low"] > figure["reference"] * (1 + _allowed(metric, config)))
    return bool(figure["high"] < figure["reference"] - config.max_accuracy_drop)


def reasons(metric: str, figure: dict[str, Any] | None, config: Monitor, *, estimated: bool = False) -> list[str]:
    """The sentence of the alarm, where there is one."""
    if figure is None or not has_worsened(metric, figure, config):
        return []
    said = [number(metric, figure[key]) for key in ("value", "low", "high", "reference")]
    if metric == RETURN:
        limit = (
            f"certainly more than monitor.max_return_drop {config.max_return_drop:.0%} below the reference's {said[3]}"
        )
    elif metric != ACCURACY:
        allowed = _allowed(metric, config)
        limit = f"certainly more than monitor.max_{metric}_rise {allowed:.0%} above the reference's {said[3]}"
    else:
        limit = f"more than monitor.max_accuracy_drop {config.max_accuracy_drop} below the reference's {said[3]}"
    what = f"{'estimated ' if estimated else ''}{in_words(metric)}"
    return [f"{what} {said[0]} ({config.confidence:.0%} interval {said[1]} to {said[2]}) is {limit}"]


def _allowed(metric: str, config: Monitor) -> float:
    return config.max_nats_rise if metric == NATS else config.max_mae_rise


def in_words(metric: str) -> str:
    return {MAE: "mean absolute error", NATS: "nats a character", RETURN: "return of an episode"}.get(metric, metric)


def number(metric: str, value: float) -> str:
    return f"{value:.3f}" if metric == ACCURACY else f"{value:.4g}"
