"""What of the labelled predictions can be learnt from."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from closedloop.prediction_log.pseudonyms import pseudonym
from closedloop.retraining.screening import screen
from closedloop.tasks import get_task
from registered_digits import digits, digits_params


def test_a_request_under_a_pseudonym_is_no_bad_one() -> None:
    params, task, data = digits_params(), get_task("images"), digits(0, 50)
    preprocessor = task.fit(data, params)
    clear = preprocessor.encode(digits(60, 62))
    requests = [json.dumps(record).encode() for record in clear]
    requests += [json.dumps({"image": pseudonym(b"k" * 16, record["image"])}).encode() for record in clear]
    labelled = pa.table(
        {
            "id": [f"prediction {number}" for number in range(4)],
            "request": pa.array(requests, pa.binary()),
            "label": ["1", "2", "1", "2"],
            "revisions": [0, 0, 0, 0],
        }
    )
    screened = screen(labelled, data, preprocessor, task, params)
    assert screened.examples.num_rows == 2
    assert screened.without_input == ["prediction 2", "prediction 3"]
    assert screened.quarantined == {}


def test_a_camera_that_died_is_examined_once_however_often_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    params, task, data = digits_params(), get_task("images"), digits(0, 50)
    preprocessor = task.fit(data, params)
    blank = json.dumps({"image": np.zeros((8, 8), int).tolist()}).encode()
    good = json.dumps(preprocessor.encode(digits(60, 61))[0]).encode()
    count = 500
    labelled = pa.table(
        {
            "id": [f"prediction {number:03d}" for number in range(count + 1)],
            "request": pa.array([blank] * count + [good], pa.binary()),
            "label": ["1"] * (count + 1),
            "revisions": [0] * (count + 1),
        }
    )
    examined = []
    examine = type(task).examine

    def counting(self: Any, examples: pa.Table, *rest: Any) -> Any:
        examined.append(examples.num_rows)
        return examine(self, examples, *rest)

    monkeypatch.setattr(type(task), "examine", counting)
    screened = screen(labelled, data, preprocessor, task, params)
    assert screened.examples.column("id").to_pylist() == [f"prediction {count:03d}"]
    assert len(screened.quarantined) == count
    assert sum(examined) <= 3  # two contents, and what is left of them
