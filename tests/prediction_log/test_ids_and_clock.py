import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.config import Traffic
from closedloop.errors import ConfigError
from closedloop.prediction_log.clock import now, to_micros, to_text
from closedloop.prediction_log.ids import ALPHABET, is_id, new_id

YEAR_1, YEAR_10_000 = -62_135_596_800_000_000, 253_402_300_800_000_000


def test_ids_are_ulids_that_never_repeat() -> None:
    ids = [new_id() for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    assert all(len(key) == 26 and set(key) <= set(ALPHABET) and is_id(key) for key in ids)


def test_the_first_ten_characters_of_an_id_are_its_milliseconds() -> None:
    before = now() // 1000
    key = new_id()
    value = 0
    for character in key[:10]:
        value = value * 32 + ALPHABET.index(character)
    assert before <= value <= now() // 1000


def test_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0, 1, 31, 32, 1023, 1024, 1_795_479_463_400, 2**48 - 1]
    ids = []
    for moment in moments:
        monkeypatch.setattr("time.time_ns", lambda moment=moment: moment * 1_000_000)
        ids.append(new_id())
    assert ids == sorted(ids)


@pytest.mark.parametrize("text", ["", "x" * 25, "x" * 27, "\x00" * 26, "é" * 26, "\ud800" * 26, "-" * 26])
def test_what_cannot_be_an_id(text: str) -> None:
    assert not is_id(text)


@given(st.integers(YEAR_1, YEAR_10_000 - 1))
def test_a_time_survives_the_way_through_text(micros: int) -> None:
    assert to_micros(to_text(micros)) == micros


@given(st.integers(0, YEAR_10_000 - 2))
def test_texts_are_taken_as_bounds_of_a_window(micros: int) -> None:
    assert Traffic(source="log", start=to_text(0), end=to_text(micros + 1)).end == to_text(micros + 1)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.5Z", 500_000),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("2026-11-23T10:00:00.5Z", 1_795_428_000_500_000),
    ],
)
def test_known_times(text: str, micros: int) -> None:
    assert to_micros(text) == micros


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00"])
def test_a_wrong_time_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=f"'{text}' is no time"):
        to_micros(text)
