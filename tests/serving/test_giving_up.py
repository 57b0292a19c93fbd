"""Work whose request has timed out stops at its next piece, so that it keeps no thread from others."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from closedloop.serving.predictor import Abandoned, Predictor
from closedloop.serving.threads import Threads
from closedloop.targets import Image
from closedloop.tasks.images.generator import AT_ONCE, GeneratorPreprocessor


class Generator:
    """A session that makes black images, and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="inputs", shape=[None, 1, 8, 8]), SimpleNamespace(name="noise", shape=[None, 4])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="answers"), SimpleNamespace(name="made")]

    def run(self, _names: None, inputs: dict[str, Any]) -> list[Any]:
        self.runs += 1
        made = len(inputs["noise"])
        return [np.full((made + len(inputs["inputs"]), 1), 0.5), np.full((made, 1, 8, 8), -1, np.float32)]


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(Generator(), GeneratorPreprocessor(8, 8, 1, noise=4, max_count=64), Image())


def test_no_further_example_is_answered(predictor: Predictor) -> None:
    with pytest.raises(Abandoned):
        predictor.predict([{}] * 5, lambda: predictor.session.runs == 2)
    assert predictor.session.runs == 2


def test_no_further_image_is_made(predictor: Predictor) -> None:
    assert len(predictor.made({"count": 64})["images"]) == 64
    assert predictor.session.runs == 64 // AT_ONCE
    with pytest.raises(Abandoned):
        predictor.made({"count": 64}, lambda: True)
    assert predictor.session.runs == 64 // AT_ONCE + 1


def test_a_thread_is_told_that_its_caller_has_given_up() -> None:
    threads, begun, ended = Threads("test", 1), threading.Event(), threading.Event()

    def work(given_up: Any) -> None:
        begun.set()
        while not given_up():
            pass
        ended.set()

    async def ask() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await threads.run_heeding(work)
        return await threads.run(lambda: "the next one")

    assert asyncio.run(asyncio.wait_for(ask(), 20)) == "the next one"
    assert begun.is_set() and ended.is_set()
    threads.close()
