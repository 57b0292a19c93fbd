"""Describes rows for drift: they are columns already."""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from closedloop.data.examples import ASIDE
from closedloop.tasks.tables.preprocessor import as_floats

MISSING_FIELDS = "missing fields"
# columns of a profile that say something else; a field of such a name is called otherwise there
TAKEN = (*ASIDE, "prediction", "confidence", "interval width", "version", "time", "latency_ms", MISSING_FIELDS)


def describe(examples: pa.Table, numbers: Sequence[str], categories: Sequence[str]) -> pd.DataFrame:
    """The numbers as float64 and the categories as text, missing where they are, and how many fields a row lacks.

    A few gaps in each of many columns show in their sum before they show in any one of them.
    """
    frame = pd.DataFrame(
        {
            **{column_name(name): as_floats(examples, name) for name in numbers},
            **{column_name(name): pd.Series(examples.column(name).to_pylist(), dtype=object) for name in categories},
        },
        index=range(examples.num_rows),
    )
    frame[MISSING_FIELDS] = frame.isna().sum(axis=1).astype("float64")
    return frame


def column_name(name: str) -> str:
    return f"{name} (field)" if name in TAKEN else name
