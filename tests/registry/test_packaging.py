"""What registering a model says, and does not say."""

import warnings

from closedloop.registry import packaging


def test_whole_numbers_in_requests_are_nothing_to_warn_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = packaging.signature([{"seed": 1, "count": 2}], [{"realism": 0.5}])
    assert found.inputs.input_names() == ["seed", "count"]
