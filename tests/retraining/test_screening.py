"""What of the labelled predictions can be learnt from."""

import json

import pyarrow as pa
import pytest

from closedloop.prediction_log.pseudonyms import pseudonym
from closedloop.retraining.screening import screen
from closedloop.tasks import get_task
from registered_digits import digits, digits_params


def test_copies_of_a_blank_image_are_set_aside_after_a_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check names ten offenders at a time: with a look for each ten copies the work would grow with their square."""
    params, task, data = digits_params(), get_task("images"), digits(0, 50)
    preprocessor, looks, examine = task.fit(data, params), [], task.examine
    monkeypatch.setattr(task, "examine", lambda *given: (looks.append(1), examine(*given))[1])
    blank = json.dumps({"image": [[0] * 8] * 8}).encode()
    requests = [blank] * 500 + [json.dumps(record).encode() for record in preprocessor.encode(digits(60, 70))]
    rows = len(requests)
    labelled = pa.table(
        {
            "id": [f"prediction {number}" for number in range(rows)],
            "request": pa.array(requests, pa.binary()),
            "label": ["1"] * rows,
            "revisions": [0] * rows,
        }
    )
    screened = screen(labelled, data, preprocessor, task, params)
    assert screened.examples.num_rows == 10
    assert set(screened.quarantined.values()) == {"it fails the check 'blank images'"}
    assert len(screened.quarantined) == 500
    assert len(looks) <= 3


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
