"""The tests as Evidently makes them, and its page of distributions; the only module that imports evidently.

Everything is said explicitly: which columns, which kind, which method, which threshold. Left to itself, Evidently drops
columns without a word and chooses methods whose false-alarm rate is nowhere near its threshold.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from closedloop.config import Monitor
from closedloop.errors import ClosedLoopError
from closedloop.monitoring.drift import comparable, corrected
from closedloop.monitoring.two_sample import CATEGORY, NUMBER, distance, p_value

CHI_SQUARE = "chi_square_homogeneity"  # under this name our own test is known to Evidently
METHODS = {NUMBER: "ks", CATEGORY: CHI_SQUARE}


@dataclass(frozen=True)
class Report:
    """What Evidently found."""

    p_values: dict[str, float]  # by column
    html: str  # one page without links to anywhere


def compare(reference: pd.DataFrame, window: pd.DataFrame, config: Monitor) -> Report:
    """Test every column that has values on both sides; frames longer than `max_rows` are sampled down with the seed.

    Raises DataError when the frames cannot be compared.
    """
    reference, window = _sampled(reference, config), _sampled(window, config)
    kinds = comparable(reference, window)
    distances = {name: distance(kind, reference[name], window[name]) for name, kind in kinds.items()}
    kinds = {name: kinds[name] for name in sorted(kinds, key=distances.__getitem__, reverse=True)}  # as the page shows
    snapshot = _run(_prepared(reference, kinds), _prepared(window, kinds), kinds, config)
    values = [metric["value"] for metric in snapshot.dict()["metrics"][1:]]  # the first one counts columns
    if len(values) != len(kinds):
        raise ClosedLoopError(f"Evidently tested {len(values)} of {len(kinds)} columns; is its release the pinned one?")
    return Report({name: float(p) for name, p in zip(kinds, values, strict=True)}, snapshot.get_html_str(False))


def _sampled(frame: pd.DataFrame, config: Monitor) -> pd.DataFrame:
    return frame if len(frame) <= config.max_rows else frame.sample(config.max_rows, random_state=config.seed)


def _prepared(frame: pd.DataFrame, kinds: dict[str, str]) -> pd.DataFrame:
    """The tested columns alone, with names and categories that cannot end a script element of the page."""
    columns = {
        escape(name): frame[name].map(escape, na_action="ignore")
        if kind == CATEGORY
        else frame[name].replace([np.inf, -np.inf], np.nan)
        for name, kind in kinds.items()
    }
    return pd.DataFrame(columns).reset_index(drop=True)


def escape(text: str) -> str:
    """Evidently writes names and values into a script element as they are."""
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _run(reference: pd.DataFrame, window: pd.DataFrame, kinds: dict[str, str], config: Monitor) -> Any:
    from evidently import DataDefinition, Dataset
    from evidently import Report as EvidentlyReport
    from evidently.metrics import DriftedColumnsCount, ValueDrift

    _register_chi_square()
    alpha = corrected(config.false_alarm_rate, len(kinds))
    names = {kind: [escape(name) for name, of in kinds.items() if of == kind] for kind in METHODS}
    definition = DataDefinition(numerical_columns=names[NUMBER], categorical_columns=names[CATEGORY])
    summary = DriftedColumnsCount(
        columns=[escape(name) for name in kinds],
        num_method=METHODS[NUMBER],
        cat_method=METHODS[CATEGORY],
        num_threshold=alpha,
        cat_threshold=alpha,
    )
    drifts = [ValueDrift(column=escape(name), method=METHODS[kind], threshold=alpha) for name, kind in kinds.items()]
    current, before = (Dataset.from_pandas(frame, data_definition=definition) for frame in (window, reference))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # it correlates every column with itself, constant ones too
        return EvidentlyReport([summary, *drifts]).run(current, before)


def _register_chi_square() -> None:
    """Evidently's own chi-square takes the reference for the exact population; this one tests two samples."""
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    def test(reference: pd.Series, window: pd.Series, _kind: Any, threshold: float) -> tuple[float, bool]:
        p = p_value(CATEGORY, reference, window)
        return p, p <= threshold

    register_stattest(
        StatTest(CHI_SQUARE, "chi-square of homogeneity, p-value", [ColumnType.Categorical]), default_impl=test
    )
