"""Scenarios move what drift is judged on, the more the more severe they are."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from tables import rows

from closedloop.errors import ConfigError
from closedloop.monitoring.two_sample import distance
from closedloop.tasks.tables.descriptors import MISSING_FIELDS
from closedloop.tasks.tables.task import TASK

TABLE = rows(1000)


def described(scenario: str, severity: int) -> pd.DataFrame:
    return TASK.describe(TASK.shift(TABLE, scenario, severity, np.random.default_rng(0)))


def test_descriptors_are_the_columns_themselves() -> None:
    frame = TASK.describe(TABLE)
    assert list(frame.columns) == ["age", "gain", "work", "sex", MISSING_FIELDS]
    assert frame.dtypes.astype(str).tolist() == ["float64", "float64", "object", "object", "float64"]
    assert frame["age"].isna()[0] and frame["work"][0] is None and frame[MISSING_FIELDS][0] == 2
    assert TASK.describe(TABLE.slice(0, 0)).shape == (0, 5)


def test_a_field_called_as_the_profile_calls_something_else_keeps_apart() -> None:
    renamed = TABLE.rename_columns(["id", "part", "confidence", "gain", "work", "version", "label"])
    assert {"confidence (field)", "version (field)"} <= set(TASK.describe(renamed).columns)


@pytest.mark.parametrize(
    ("scenario", "column", "kind"),
    [("inflation", "age", "number"), ("missing", MISSING_FIELDS, "number"), ("recoding", "sex", "category")],
)
def test_severity_grows(scenario: str, column: str, kind: str) -> None:
    reference = TASK.describe(TABLE)[column]
    effects = [distance(kind, reference, described(scenario, severity)[column]) for severity in range(1, 6)]
    assert all(less < more for less, more in pairwise(effects))
    assert effects[2] > 0.15


def test_shifts_change_what_they_say_and_nothing_else() -> None:
    for scenario in ("inflation", "missing", "recoding", "imbalance"):
        shifted = TASK.shift(TABLE, scenario, 3, np.random.default_rng(0))
        assert shifted.schema == TABLE.schema and shifted.num_rows == TABLE.num_rows
        if scenario != "imbalance":
            assert shifted.select(["id", "part", "label"]).equals(TABLE.select(["id", "part", "label"]))
        again = TASK.shift(TABLE, scenario, 3, np.random.default_rng(0))
        assert again.equals(shifted)
    assert TASK.shift(TABLE, "none", 3, np.random.default_rng(0)) is TABLE
    unseen = set(described("recoding", 5)["work"].dropna())
    assert unseen == {"pRIVATE", "sTATE", "sELF"}
    assert (described("missing", 4)["sex"].isna().mean()) == pytest.approx(0.35, abs=0.05)


def test_unknown_scenarios_and_severities_are_named() -> None:
    with pytest.raises(ConfigError, match="must be one of none, inflation, missing, recoding, imbalance, not 'fog'"):
        TASK.shift(TABLE, "fog", 3, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="from 1 to 5"):
        TASK.shift(TABLE, "missing", 0, np.random.default_rng(0))
