"""Times as they stand in tables."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.data.times import FORMATS, ISO, NUMBER, find_time_format, parse_times
from closedloop.errors import DataError

MOMENTS = st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2068, 1, 1)), min_size=2, max_size=20)


@given(MOMENTS, st.sampled_from([ISO, *FORMATS]))
def test_a_format_that_is_found_reads_every_text_and_keeps_the_order_where_it_is_the_only_one(
    moments: list[datetime], pattern: str
) -> None:
    texts = [moment.isoformat(" ") if pattern == ISO else moment.strftime(pattern) for moment in moments]
    found = find_time_format(texts)
    assert found is not None
    read = parse_times(pa.chunked_array([texts]), found.pattern, "here").to_pylist()
    if not found.ambiguous:
        expected = parse_times(pa.chunked_array([texts]), pattern, "here").to_pylist()
        assert sorted(range(len(texts)), key=read.__getitem__) == sorted(range(len(texts)), key=expected.__getitem__)


def test_day_and_month_that_could_be_swapped_are_ambiguous() -> None:
    assert find_time_format(["01/02/2020", "02/01/2020"]) is not None
    assert find_time_format(["01/02/2020", "02/01/2020"]).ambiguous  # type: ignore[union-attr]
    assert not find_time_format(["13/02/2020", "14/01/2020"]).ambiguous  # type: ignore[union-attr]
    assert find_time_format(["20200102", "20200103"]) is None  # numbers before they are days
    assert find_time_format(["2020-01-02", "yesterday"]) is None


def test_zones_are_heeded_and_numbers_are_times_where_so_configured() -> None:
    texts = pa.chunked_array([["2020-01-01T12:00:00+02:00", "2020-01-01T11:00:00"]])
    assert parse_times(texts, ISO, "") == pa.array(
        [datetime(2020, 1, 1, hour, tzinfo=UTC).timestamp() for hour in (10, 11)]
    )
    assert parse_times(pa.chunked_array([["2019", "2021"]]), NUMBER, "").to_pylist() == [2019, 2021]
    assert parse_times(pa.chunked_array([[3.5, 1.0]]), ISO, "").to_pylist() == [3.5, 1.0]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["2020-01-01", None, None], "here: 2 of 3 rows have no time, first row 2"),
        (["2020-01-01", "soon", "2020-13-01"], r"2 of 3 values are no times .* row 2 'soon', row 3 '2020-13-01'"),
    ],
)
def test_what_is_no_time_is_named_with_its_row(texts: list[str | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_times(pa.chunked_array([texts]), ISO, "here")
