"""`make history`: what was tried, why, and what came of it, in lines that a person can read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from closedloop.config import Params
from closedloop.prediction_log import attempts, checks
from closedloop.prediction_log.clock import HOUR, to_micros
from closedloop.prediction_log.store import open_log
from closedloop.retraining.history import history

START = to_micros("2026-11-23T10:00:00Z")


@pytest.fixture
def params(make_project: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Params:
    project = make_project("digits")
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("CLOSEDLOOP_LOG_URI", raising=False)
    found: Params = project.params
    return found


@pytest.fixture
def engine(params: Params) -> Iterator[Engine]:
    opened = open_log(params)
    yield opened
    opened.dispose()


def window(engine: Engine, hour: int, verdict: str, **report: Any) -> None:
    start = START + hour * HOUR
    content = {"reasons": [], "columns": [], "accuracy": None, "estimated_accuracy": None, **report}
    checks.record(engine, "digits", content, start, start + HOUR, 1, 1300, verdict, None)


def accuracy(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02, "reference": 0.97, "labelled_rows": 200}


def attempt(engine: Engine, outcome: str, **columns: Any) -> None:
    begun = attempts.begin(engine, "digits", "drift", ["2 of the last 3 windows drifted"], 1)
    attempts.finish(engine, begun, outcome, **columns)


@pytest.mark.usefixtures("engine")
def test_an_empty_log_says_what_would_fill_it(params: Params) -> None:
    said = history(params)
    assert "no attempt to retrain digits yet; `make retrain`" in said
    assert "no window of digits has been checked yet; `make monitor ARGS=traffic=log`" in said


def test_each_attempt_has_a_line_with_data_model_outcome_and_why(params: Params, engine: Engine) -> None:
    attempt(engine, "failed", champion_after=1, verdict={"error": "the disk\nis full", "transient": True})
    verdict = {"verdict": "promoted", "reasons": ["a gain of +0.1200", "every floor is met"]}
    attempt(engine, "promoted", challenger=2, champion_after=2, verdict=verdict, data={"labels": 1500, "used": 1412})
    attempts.begin(engine, "digits", "by_hand", ["asked for by hand"], 2)
    head, running, promoted, failed, *_ = history(params).splitlines()
    assert head.split() == ["started", "trigger", "new", "data", "model", "outcome", "champion", "why"]
    assert "by_hand" in running and "running" in running and running.endswith("asked for by hand")
    assert promoted.split()[3:9] == ["drift", "1,412", "2", "promoted", "1", "->"]
    assert promoted.endswith("2  a gain of +0.1200")
    assert failed.endswith("1  the disk is full")  # in one line


def test_each_window_has_a_line_the_latest_first(params: Params, engine: Engine) -> None:
    window(engine, 0, "clean", estimated_accuracy=accuracy(0.97))
    window(engine, 1, "drift", reasons=["contrast has moved " * 20, "noise"], accuracy=accuracy(0.8123))
    window(engine, 2, "too_few_rows")
    *_, head, third, second, first, _, _ = history(params).splitlines()
    assert head.split()[:2] == ["window", "ends"]
    assert third.split() == ["2026-11-23", "13:00", "UTC", "1,300", "1", "too", "few", "rows"]
    assert "0.812  contrast has moved" in second and second.endswith("…")
    assert first.split()[-2:] == ["clean", "~0.970"]  # estimated
    assert max(map(len, (head, third, second, first))) < 180


def test_the_page_is_drawn_anew_and_named(params: Params, engine: Engine) -> None:
    window(engine, 0, "clean")
    attempt(engine, "refused", challenger=2, champion_after=1)
    assert history(params).endswith("reports/digits/history.html")
    assert "version 2 was refused, version 1 stays" in Path("reports/digits/history.html").read_text()
