from typing import Any

import pytest
from logged import TASK
from sqlalchemy import Engine

from closedloop.prediction_log import checks


def record(log: Engine, start: int, end: int, **changed: Any) -> None:
    given: dict[str, Any] = {"report": {}, "version": 1, "rows": 300, "verdict": "clean", "alert": None, **changed}
    checks.record(log, TASK, start=start, end=end, **given)


def test_nothing_checked_yet(log: Engine) -> None:
    assert checks.recent(log, TASK, 5) == []
    assert checks.last_end(log, TASK, 100) is None


def test_the_latest_come_last(log: Engine) -> None:
    for start in (20, 0, 10, 30):
        record(log, start, start + 10)
    checks.record(log, "another", {}, 90, 99, 1, 1, "clean", None)
    assert [(check.start, check.end) for check in checks.recent(log, TASK, 3)] == [(10, 20), (20, 30), (30, 40)]
    assert checks.last_end(log, TASK, 100) == 40
    assert checks.last_end(log, TASK, 39) == 30  # one that lies ahead ends no monitoring


def test_a_window_judged_again_replaces_its_verdict(log: Engine) -> None:
    record(log, 0, 10, verdict="drift", report={"reasons": ["überall dunkler"]}, alert="sent")
    record(log, 0, 10, verdict="clean", rows=200)
    record(log, 0, 10, verdict="drift", version=2, report={"columns": [{"p": 1e-9}]})
    first, second = sorted(checks.recent(log, TASK, 5), key=lambda check: check.version)
    assert (first.verdict, first.rows, first.report, first.alert) == ("clean", 200, {}, None)
    assert (second.verdict, second.version, second.report) == ("drift", 2, {"columns": [{"p": 1e-9}]})


def test_a_report_that_no_reader_takes_is_refused(log: Engine) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        record(log, 0, 10, report={"p": float("nan")})
    assert checks.recent(log, TASK, 5) == []
