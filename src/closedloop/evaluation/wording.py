"""Figures of merit in words, the same wherever one is named."""

from typing import Any

NAMES = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R2",
    "roc_auc": "area under ROC",
    "nats": "nats a character",
    "frechet": "Fréchet distance",
    "return": "return of an episode",
    "rarest_class": "share of the rarest class",
    "copied": "share of copies",
}
SHARES = ("accuracy", "coverage", "precision", "recall", "rarest_class", "copied")


def metric_name(metric: str) -> str:
    return NAMES.get(metric, metric.replace("_", " "))


def figure(metric: str, value: float) -> str:
    """Shares in percent, others with four digits."""
    return f"{value:.2%}" if metric in SHARES else f"{value:.4g}"


def headline(report: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """The metric that an evaluation is known by, and its interval; reports from before there were others have none."""
    metric = report.get("headline", "accuracy")
    return metric, report["metrics"][metric]
