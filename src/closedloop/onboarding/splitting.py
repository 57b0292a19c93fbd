"""Whether rows can be split by the group and the time that columns were taken for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from closedloop.config import Preprocess
from closedloop.data.columns import as_text
from closedloop.data.splits import assign_splits, joined
from closedloop.data.times import ISO, parse_times
from closedloop.errors import DataError
from closedloop.onboarding.columns import Column
from closedloop.onboarding.roles import Labelled

LEAST = 0.25  # of the share that a split is to have, below which it is too small
SHARES = {"train": 0.55, "validation": 0.1, "test": 0.2, "production": 0.15}


def splittable(columns: Sequence[Column], rows: Labelled) -> list[Column]:
    """The columns, without the guessed group where it leaves a split nearly empty, or else without the time."""
    settled = list(columns)
    for role in ("group", "time"):
        if _parts_well(settled, rows):
            break
        settled = [_left_out(one) if one.role == role else one for one in settled]
    return settled


def _parts_well(columns: Sequence[Column], rows: Labelled) -> bool:
    named = {one.role: one for one in columns if one.role in ("group", "time")}
    if not named:
        return True
    table, codes = rows.known()
    each = np.arange(len(codes), dtype=np.uint64)
    group, time = named.get("group"), named.get("time")
    together = joined(each, as_text(table.column(group.name)).to_pylist()) if group else None
    pattern = time.time.pattern if time and time.time else ISO
    times = parse_times(table.column(time.name), pattern, time.name).to_numpy() if time else None
    try:
        parts = np.full(len(codes), "all")
        splits = assign_splits(each, codes.astype(np.str_), parts, Preprocess(), together=together, times=times)
    except DataError:
        return False
    return all((splits == split).mean() >= LEAST * share for split, share in SHARES.items())


def _left_out(one: Column) -> Column:
    why = f"a {one.role} by its name, but it leaves a split with hardly a row; the model does not see it either"
    return replace(one, role="left out", why=why, check=True)
