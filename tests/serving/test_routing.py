"""Who answers is a repeatable choice; a challenger in shadow never delays, fails or changes an answer."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from closedloop.config import Serving
from closedloop.prediction_log.ids import new_id
from closedloop.prediction_log.schema import SHADOWS
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import LogWriter
from closedloop.serving import routing
from closedloop.serving.deployment import Loaded
from closedloop.serving.predictor import Predictor
from closedloop.serving.routing import Shadow, choose, fraction
from closedloop.targets import Classes
from registered_digits import TESTED_FROM, Registry, digits


def loaded(version: int, predictor: Any = None) -> Loaded:
    return Loaded(version, cast(Predictor, predictor), 0.0)


CHAMPION, CHALLENGER = loaded(1), loaded(2)


@given(st.text(min_size=1), st.floats(0.01, 0.99))
def test_the_same_id_is_always_answered_by_the_same_version(prediction_id: str, share: float) -> None:
    canary = Serving(challenger="canary", canary_share=share)
    first = choose(CHAMPION, CHALLENGER, canary, prediction_id)
    assert first == choose(CHAMPION, CHALLENGER, canary, prediction_id)
    assert first == ((CHALLENGER, "canary") if fraction(prediction_id) < share else (CHAMPION, "champion"))


@given(st.text(min_size=1), st.sampled_from(["off", "shadow", "canary"]))
def test_without_a_canary_the_champion_answers(prediction_id: str, mode: str) -> None:
    serving = Serving(challenger=cast(Any, mode), canary_share=0.99)
    assert choose(CHAMPION, None, serving, prediction_id) == (CHAMPION, "champion")
    if mode != "canary":
        assert choose(CHAMPION, CHALLENGER, serving, prediction_id) == (CHAMPION, "champion")


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_the_canary_takes_its_share(share: float) -> None:
    canary = Serving(challenger="canary", canary_share=share)
    requests = 20_000
    taken = sum(choose(CHAMPION, CHALLENGER, canary, new_id())[1] == "canary" for _ in range(requests))
    deviation = (share * (1 - share) / requests) ** 0.5
    assert abs(taken / requests - share) < 5 * deviation


@pytest.fixture
def engine(registry: Registry) -> Iterator[Engine]:
    opened = open_log(registry.params)
    yield opened
    opened.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[LogWriter]:
    opened = LogWriter(engine)
    yield opened
    opened.close()


def test_shadow_answers_are_those_of_the_challenger(registry: Registry, engine: Engine, writer: LogWriter) -> None:
    from closedloop.registry.aliases import load_version

    predictor = load_version(registry.params, registry.add("strong")).predictor
    records = predictor.preprocessor.encode(digits(TESTED_FROM, TESTED_FROM + 6))
    ids = [new_id() for _ in records]
    shadow = Shadow(writer)
    assert shadow.submit(loaded(7, predictor), ids[:1], records[:1])
    assert shadow.submit(loaded(7, predictor), ids[1:], records[1:])
    shadow.close()
    writer.close()
    with engine.connect() as connection:
        rows = {row.prediction_id: row for row in connection.execute(select(SHADOWS))}
    assert set(rows) == set(ids)
    for name, answer in zip(ids, predictor.answer(records), strict=True):
        assert (rows[name].version, rows[name].prediction) == (7, answer["class"])
        assert rows[name].confidence == pytest.approx(answer["confidence"])
        assert rows[name].latency_ms > 0
    assert (shadow.dropped, shadow.failed) == (0, 0)


class Slow:
    """A challenger that answers when it is told to."""

    target = Classes(("0", "1"))

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), 0

    def predict(self, records: list[dict[str, Any]]) -> np.ndarray:
        self.asked += len(records)
        assert self.go.wait(20)
        return np.array([[0.0, 1.0] for _ in records])


def test_a_slow_challenger_makes_nobody_wait_and_what_it_cannot_answer_is_counted(writer: LogWriter) -> None:
    challenger, shadow = Slow(), Shadow(writer)
    taken = [shadow.submit(loaded(2, challenger), [new_id()], [{}]) for _ in range(routing.WAITING + 50)]
    assert taken.count(False) == shadow.dropped == 50
    challenger.go.set()
    shadow.close(20)
    assert challenger.asked == routing.WAITING
    assert not shadow.submit(loaded(2, challenger), [new_id()], [{}])  # closed


def test_closing_does_not_wait_for_a_challenger_that_hangs(writer: LogWriter) -> None:
    challenger, shadow = Slow(), Shadow(writer)
    shadow.submit(loaded(2, challenger), [new_id()], [{}])
    closing = threading.Thread(target=shadow.close, args=(0.05,))
    closing.start()
    closing.join(20)
    assert not closing.is_alive() and challenger.asked == 1 and not challenger.go.is_set()
    challenger.go.set()


def test_a_challenger_that_fails_is_counted_and_the_next_one_answers(engine: Engine, writer: LogWriter) -> None:
    class Failing:
        def predict(self, _records: list[dict[str, Any]]) -> np.ndarray:
            raise ValueError("on purpose")

    sound, shadow, name = Slow(), Shadow(writer), new_id()
    sound.go.set()
    shadow.submit(loaded(2, Failing()), [new_id(), new_id()], [{}, {}])
    shadow.submit(loaded(3, sound), [name], [{}])
    shadow.close()
    writer.close()
    assert (shadow.failed, shadow.dropped) == (2, 0)
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(select(SHADOWS.c.prediction_id, SHADOWS.c.version))] == [
            (name, 3)
        ]


def test_the_event_loop_goes_on_while_the_challenger_answers(writer: LogWriter) -> None:
    challenger, shadow = Slow(), Shadow(writer)

    async def main() -> None:
        shadow.submit(loaded(2, challenger), [new_id()], [{}])
        while not challenger.asked:  # the loop turns while the challenger is at it
            await asyncio.sleep(0)
        challenger.go.set()

    asyncio.run(asyncio.wait_for(main(), 20))
    shadow.close(20)


def test_shadow_answers_that_are_no_numbers_are_counted_as_failures(engine: Engine, writer: LogWriter) -> None:
    class Overflowing:
        target = Classes(("0", "1"))

        def predict(self, records: list[dict[str, Any]]) -> np.ndarray:
            return np.full((len(records), 2), np.nan)

    shadow = Shadow(writer)
    shadow.submit(loaded(2, Overflowing()), [new_id()], [{}])
    shadow.close()
    writer.close()
    assert (shadow.failed, writer.dropped) == (1, 0)
    with engine.connect() as connection:
        assert connection.execute(select(SHADOWS)).all() == []
