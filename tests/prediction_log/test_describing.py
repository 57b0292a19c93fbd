import orjson
import pandas as pd
import pytest
from logged import TASK, answer, put
from sklearn.datasets import load_digits
from sqlalchemy import Engine

from closedloop.prediction_log.describing import Described, describe
from closedloop.prediction_log.reading import window
from closedloop.tasks import get_task
from closedloop.tasks.images.task import ImagePreprocessor

KIND = get_task("images")
START = 1_795_428_000_000_000
WINDOW = (START, START + 1000)
PREPROCESSOR = ImagePreprocessor(height=8, width=8, mean=0.3, std=0.4)


@pytest.fixture
def records() -> list[dict[str, object]]:
    """Twenty real digits as requests."""
    images = (load_digits().images[:20] * 15).astype(int)
    return [{"image": image.tolist()} for image in images]


def test_descriptors_are_those_of_the_requests(log: Engine, records: list[dict[str, object]]) -> None:
    put(log, [answer(time=START + n, request=orjson.dumps(record)) for n, record in enumerate(records)])
    assert describe(log, TASK, WINDOW, PREPROCESSOR, KIND) == Described(rows=20, refused=0)
    found = [orjson.loads(text) for text in window(log, TASK, *WINDOW).column("descriptors").to_pylist()]
    pd.testing.assert_frame_equal(pd.DataFrame(found), KIND.describe(PREPROCESSOR.decode(records)))
    assert describe(log, TASK, WINDOW, PREPROCESSOR, KIND) == Described(rows=0, refused=0)


def test_only_the_window_of_the_task_is_described(log: Engine, records: list[dict[str, object]]) -> None:
    request = orjson.dumps(records[0])
    put(log, [answer(time=START - 1, request=request), answer(time=START + 1000, request=request)])
    put(log, [answer(time=START, task="another", request=request), answer(time=START, request=None)])
    put(log, [answer(time=START, request=b"no JSON, but described", descriptors="{}")])
    assert describe(log, TASK, WINDOW, PREPROCESSOR, KIND) == Described(rows=0, refused=0)


def test_requests_that_no_longer_decode_stay_without(log: Engine, records: list[dict[str, object]]) -> None:
    """Among them: a pseudonym in the image's place, another size, and what is no JSON."""
    requests = [orjson.dumps(record) for record in records]
    requests[3] = b'{"image": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"}'
    requests[4] = b'{"image": [[1, 2], [3, 4]]}'
    requests[17] = b'{"image": '
    put(log, [answer(time=START + n, request=request) for n, request in enumerate(requests)])
    assert describe(log, TASK, WINDOW, PREPROCESSOR, KIND) == Described(rows=17, refused=3)
    described = window(log, TASK, *WINDOW).column("descriptors").to_pylist()
    assert [n for n, text in enumerate(described) if text is None] == [3, 4, 17]
