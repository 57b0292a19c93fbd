"""The verdict on a window of traffic: pure functions of two profiles, the tests' p-values and the thresholds."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from closedloop.config import Monitor
from closedloop.data.examples import ID, LABEL
from closedloop.errors import DataError
from closedloop.evaluation.outcomes import NATS, RETURN
from closedloop.evaluation.profile import VERSION
from closedloop.monitoring import quality
from closedloop.monitoring.service import LATENCY, TIME
from closedloop.monitoring.two_sample import CATEGORY, NUMBER, distance, present, rise

METHODS = {NUMBER: "Kolmogorov-Smirnov", CATEGORY: "chi-square of homogeneity"}
EFFECTS = {NUMBER: "KS distance", CATEGORY: "Cramer's V"}
SHOWN = 3  # columns or categories that a reason names
# columns that say who, when and how fast, not what; and how good an answer was, which is judged as quality
NOT_JUDGED = (ID, LABEL, VERSION, TIME, LATENCY, NATS, RETURN)


@dataclass(frozen=True)
class Column:
    """One column's test; it has drifted when the difference is both significant and large."""

    name: str
    kind: str
    method: str
    p_value: float | None  # None: not tested, as one side holds no value at all
    threshold: float
    effect: float | None
    min_effect: float
    drifted: bool


def kinds(reference: pd.DataFrame, window: pd.DataFrame) -> dict[str, str]:
    """The kind of each column that drift is judged on.

    Raises DataError when a frame is empty, has columns that the other lacks, or twice, or of another kind.
    """
    found = {name: _kinds(frame, name) for name, frame in (("reference", reference), ("window", window))}
    if found["reference"] != found["window"]:
        differing = sorted({name for name, _ in found["reference"].items() ^ found["window"].items()})
        raise DataError(
            f"reference and window do not have the same columns: {', '.join(differing)} differ; they were made by "
            "different versions of the code, run `dvc repro` to make both again"
        )
    return found["reference"]


def _kinds(frame: pd.DataFrame, where: str) -> dict[str, str]:
    if frame.empty:
        raise DataError(f"the {where} has no rows")
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"the {where} has columns of the same name: {', '.join(repeated)}")
    return {name: _kind(frame[name], where) for name in names if name not in NOT_JUDGED}


def _kind(column: pd.Series, where: str) -> str:
    if column.dtype == np.float64:
        return NUMBER
    # infer_dtype names what an object column holds; "empty" is one of missing values only
    if column.dtype == object and infer_dtype(column, skipna=True) in ("string", "empty"):
        return CATEGORY
    raise DataError(f"the {where}'s column {column.name} is {column.dtype}; float64 and text can be compared")


def comparable(reference: pd.DataFrame, window: pd.DataFrame) -> dict[str, str]:
    """The kinds of the columns that hold values on both sides; the others can only be counted as missing."""
    return {
        name: kind
        for name, kind in kinds(reference, window).items()
        if len(present(reference[name])) and len(present(window[name]))
    }


def corrected(false_alarm_rate: float, columns: int) -> float:
    """Significance level of one column that keeps the rate of a whole window (Bonferroni)."""
    return false_alarm_rate / max(columns, 1)


def judge(
    reference: pd.DataFrame,
    window: pd.DataFrame,
    p_values: dict[str, float],
    estimate: dict[str, Any] | None,
    config: Monitor,
) -> dict[str, Any]:
    """The verdict with its reasons and everything that it rests on, ready for JSON.

    `p_values` holds the tests of the columns that `comparable` names, `estimate` the quality as estimated without
    labels. Raises DataError when the two profiles cannot be compared.
    """
    columns = judge_columns(reference, window, p_values, config)
    missing = judge_missing(reference, window, config)
    unseen = judge_unseen(reference, window, config)
    metric, figure = quality.metric_of(reference), quality.judge_quality(reference, window, config)
    reasons = [
        *quality.reasons(metric, figure, config),
        # the estimate is an opinion: where there are labels, they alone count
        *(quality.reasons(metric, estimate, config, estimated=True) if figure is None else []),
        *_column_reasons(columns),
        *(_missing_reason(entry) for entry in missing if entry["alarm"]),
        *(_unseen_reason(entry) for entry in unseen if entry["alarm"]),
    ]
    verdict = "drift" if reasons else "clean"
    short = [
        f"the {where} has {len(frame)} rows, too few to judge: monitor.min_rows asks for {config.min_rows}"
        for where, frame in (("window", window), ("reference", reference))
        if len(frame) < config.min_rows
    ]
    return {
        "verdict": "too_few_rows" if short else verdict,
        "reasons": short or reasons,
        "reference_rows": len(reference),
        "alpha": corrected(config.false_alarm_rate, len(p_values)),
        "columns": [asdict(column) for column in columns],
        "missing": missing,
        "unseen": unseen,
        metric: figure,
        quality.ESTIMATED + metric: estimate,
    }


def judge_columns(
    reference: pd.DataFrame, window: pd.DataFrame, p_values: dict[str, float], config: Monitor
) -> list[Column]:
    """Every column's test, the largest effect first; columns without values on one side come last, untested."""
    alpha = corrected(config.false_alarm_rate, len(p_values))
    least = {NUMBER: config.min_effect_numeric, CATEGORY: config.min_effect_categorical}
    columns = []
    for name, kind in kinds(reference, window).items():
        p = p_values.get(name)
        effect = None if p is None else distance(kind, reference[name], window[name])
        drifted = p is not None and effect is not None and p <= alpha and effect >= least[kind]
        columns.append(Column(name, kind, METHODS[kind], p, alpha, effect, least[kind], drifted))
    return sorted(columns, key=lambda column: -1.0 if column.effect is None else column.effect, reverse=True)


def judge_missing(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor) -> list[dict[str, Any]]:
    """The columns with missing values; alarm when the share has certainly risen by more than is allowed."""
    entries = []
    for name in kinds(reference, window):
        gaps = [len(frame) - len(present(frame[name])) for frame in (window, reference)]
        if any(gaps):
            risen = rise(gaps[0], len(window), gaps[1], len(reference), config.confidence)
            entries.append(
                {
                    "name": name,
                    "reference": gaps[1] / len(reference),
                    "window": gaps[0] / len(window),
                    "rise": asdict(risen),
                    "max_rise": config.max_missing_rise,
                    "alarm": risen.low > config.max_missing_rise,
                }
            )
    return entries


def judge_unseen(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor) -> list[dict[str, Any]]:
    """The columns with categories that the reference lacks; alarm when there are certainly too many such rows.

    Some are to be expected: as large a share as the categories make up that the reference holds once (Good 1953). So
    a rare category that turns up does not alarm by itself, and neither does a column of many rare ones.
    """
    entries = []
    for name, kind in kinds(reference, window).items():
        known, values = present(reference[name]), present(window[name])
        new = values[~values.isin(known)]
        if kind == CATEGORY and len(new) and len(known):
            once = int((known.value_counts() == 1).sum())
            risen = rise(len(new), len(values), once, len(known), config.confidence)
            entries.append(
                {
                    "name": name,
                    "rows": len(new),
                    "share": len(new) / len(values),
                    "expected_share": once / len(known),
                    "rise": asdict(risen),
                    "max_rise": config.max_unseen_rise,
                    "categories": [" ".join(name.split())[:40] for name in sorted(new.unique())[:SHOWN]],
                    "alarm": risen.low > config.max_unseen_rise,
                }
            )
    return entries


def _column_reasons(columns: list[Column]) -> list[str]:
    drifted = [column for column in columns if column.drifted]
    if not drifted:
        return []
    shown = [f"{c.name} ({EFFECTS[c.kind]} {c.effect:.2f}, p {c.p_value:.1e})" for c in drifted[:SHOWN]]
    more = [f"{len(drifted) - SHOWN} more"] if len(drifted) > SHOWN else []
    return [f"{len(drifted)} of {len(columns)} columns have moved: {', '.join([*shown, *more])}"]


def _missing_reason(entry: dict[str, Any]) -> str:
    return (
        f"{entry['name']}: {entry['window']:.1%} missing, {entry['reference']:.1%} in the reference; the rise is "
        f"certainly above monitor.max_missing_rise {entry['max_rise']:g}"
    )


def _unseen_reason(entry: dict[str, Any]) -> str:
    return (
        f"{entry['name']}: {entry['rows']} rows ({entry['share']:.1%}) hold categories that the reference lacks "
        f"({', '.join(entry['categories'])}), {entry['expected_share']:.1%} were to be expected; the rise is "
        f"certainly above monitor.max_unseen_rise {entry['max_rise']:g}"
    )
