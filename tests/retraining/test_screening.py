"""What of the labelled predictions can be learnt from."""

import json

import pyarrow as pa

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
