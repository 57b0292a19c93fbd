"""What of the data lies beyond the usual limits, measured on the examples as the stages read and split them."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from closedloop.config import Params
from closedloop.data.examples import ASIDE, LABEL, PART
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.sections import CHECK
from closedloop.onboarding.text_order import order_limits
from closedloop.preparation.copies import repetitions
from closedloop.preparation.preprocessing import split_examples
from closedloop.tasks import get_task
from closedloop.tasks.images.request import pixels

ROOM = 1.2  # of a limit above what was found: new data of the same kind are to pass
FEWEST = 30  # rows that can be judged: the least of monitor.min_rows


def monitor_limits(examples: pa.Table, params: Params) -> dict[str, Any]:
    """The keys of `monitor` that have to allow less than usual; raises DataError when a split comes out empty."""
    splits = split_examples(examples, params)
    found: dict[str, Any] = {}
    judged = min(params.traffic.window, *(int((splits == split).sum()) for split in ("test", "production")))
    if judged < params.monitor.min_rows:
        note = f"the smallest one of test split, production and window has {judged} examples: only large changes show"
        found["min_rows"] = Noted(max(FEWEST, judged), note)
    if params.task.target == "text":
        found |= order_limits(examples, splits)
    return found


def validation_limits(examples: pa.Table, params: Params) -> dict[str, Any]:
    """The keys of `validation` that have to allow more than usual, with what was found."""
    limit = params.validation
    contents = get_task(params.task.kind).fingerprints(examples)
    parts = examples.column(PART).to_pylist()
    _, code = np.unique(contents, return_inverse=True)
    copies = max(
        len(repetitions(contents[rows])) / rows.sum() for rows in (np.array(parts) == part for part in set(parts))
    )
    labels = np.unique(np.array(examples.column(LABEL).to_pylist(), np.str_), return_inverse=True)[1]
    pairs = np.unique(np.stack([code, labels], axis=1), axis=0)
    conflicting = float((np.bincount(pairs[:, 0])[code] > 1).mean())
    gaps = {name: examples.column(name).null_count / len(contents) for name in _content(examples)}
    hollow = max(gaps, key=lambda name: gaps[name])
    blank = float(_blank(examples).mean())
    found: dict[str, Any] = {}
    if blank > limit.max_blank_share:
        note = f"{CHECK}: {blank:.1%} of the examples have no content at all; take them out of the data if you can"
        found["max_blank_share"] = Noted(_with_room(blank), note)
    if copies > limit.max_duplicate_share:
        note = f"{CHECK}: {copies:.1%} of the examples repeat another one; copies share a split"
        found["max_duplicate_share"] = Noted(_with_room(copies), note)
    if params.task.target == "classes" and conflicting > limit.max_conflicting_share:
        note = f"{CHECK}: {conflicting:.1%} of the examples have copies with another label: no model can know both"
        found["max_conflicting_share"] = Noted(_with_room(conflicting), note)
    tested = np.array(parts) == "test"
    leaked = float(np.isin(contents[tested], contents[~tested]).mean()) if tested.any() else 0.0
    if params.task.target == "text" and leaked > limit.max_leaked_share:  # as every chapter may begin alike
        note = (
            f"{CHECK}: {leaked:.1%} of the test part's passages stand before it as well, and are not learnt from there"
        )
        found["max_leaked_share"] = Noted(_with_room(leaked), note)
    if gaps[hollow] > limit.max_missing_share:
        note = f"{CHECK}: {hollow} lacks {gaps[hollow]:.1%} of its values"
        found["max_missing_share"] = Noted(_with_room(gaps[hollow]), note)
    if params.task.kind == "images" and (brightest := int(pixels(examples).max()) / 255) < limit.min_value_range:
        note = f"{CHECK}: the brightest pixel of all reaches {brightest:.0%} of full white"
        found["min_value_range"] = Noted(math.floor(brightest * 90) / 100, note)
    return found


def _content(examples: pa.Table) -> list[str]:
    return [name for name in examples.column_names if name not in ASIDE]


def _blank(examples: pa.Table) -> NDArray[np.bool_]:
    """Which examples have nothing but missing values and white space."""
    empty = []
    for name in _content(examples):
        column = examples.column(name)
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, pa.string()), column)
        empty.append(column.is_null().to_numpy())
    found: NDArray[np.bool_] = np.all(empty, axis=0)
    return found


def _with_room(share: float) -> float:
    return min(1.0, math.ceil(ROOM * share * 1000) / 1000)
