"""Which stages a check runs, on which window, and what it leaves in params.yaml."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from closedloop import composition
from closedloop.config import load
from closedloop.errors import ConfigError, DriftFound
from closedloop.files import write_json
from closedloop.monitoring import alert, run
from closedloop.monitoring.schedule import BOUNDS
from closedloop.prediction_log.clock import DAY, now, to_text
from closedloop.prediction_log.store import open_log
from closedloop.prediction_log.writer import LogWriter

CONF = Path(__file__).parents[2] / "conf"
PARAMS = Path("params.yaml")
WINDOW = ["traffic.start=2026-11-23T10:00:00Z", "traffic.end=2026-11-23T10:00:00.500000Z"]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of DVC, in a project of its own; every check ends clean."""
    calls: list[Any] = []

    def reproduce(_params: Path, stages: Sequence[str], *, alone: bool) -> None:
        calls.append((tuple(stages), alone))
        write_json(Path("reports/digits/drift.json"), {"verdict": "clean"})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOSEDLOOP_LOG_URI", f"sqlite:///{tmp_path}/predictions.db")
    monkeypatch.setattr(run, "reproduce", reproduce)
    composition.write(PARAMS, "digits", ["trainer.max_epochs=3"], CONF)
    return calls


def check(*overrides: str, task: str | None = None) -> Any:
    return run.check(PARAMS, task, overrides, CONF)


def test_examples_are_checked_by_the_whole_pipeline(ran: list[Any]) -> None:
    assert check("traffic.seed=4") == {"verdict": "clean"}
    assert ran == [((), False)]
    assert load(PARAMS).composed.overrides == ["trainer.max_epochs=3", "traffic.seed=4"]


def test_without_a_window_nothing_is_run_and_nothing_is_written(ran: list[Any]) -> None:
    before = PARAMS.read_text()
    assert "holds no predictions of digits" in check("traffic=log")
    assert ran == []
    assert PARAMS.read_text() == before


@pytest.mark.parametrize(
    ("statuses", "found"), [((503,) * 20, True), ((503, *[200] * 300), False), ((401,) * 20, False)]
)
def test_a_server_that_fails_is_found_though_it_fills_no_window(
    ran: list[Any], monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...], found: bool
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(alert, "send", lambda body: sent.append(body) or "delivered")
    engine = open_log(load(PARAMS))
    writer = LogWriter(engine)
    for status in statuses:
        writer.count("digits", status)
    writer.close()
    engine.dispose()
    if found:
        with pytest.raises(DriftFound, match=r"the server fails: 20 of 20 requests \(100.0%\) failed \(20 with 503\)"):
            check("traffic=log")
    else:
        assert "holds no predictions of digits" in check("traffic=log")
    assert [(body["verdict"], body["version"], body["window"]["rows"]) for body in sent] == [("drift", 0, 0)] * found
    assert ran == []


def test_a_window_that_is_not_over_is_refused_and_nothing_is_written(ran: list[Any]) -> None:
    before = PARAMS.read_text()
    bounds = [f"traffic.start={to_text(now() - DAY)}", f"traffic.end={to_text(now() + DAY)}"]
    with pytest.raises(ConfigError, match=r"traffic\.end: .* must not lie after"):
        check("traffic=log", *bounds)
    assert ran == []
    assert PARAMS.read_text() == before


def test_the_next_window_is_written_down_and_judged_by_its_stages_alone(
    ran: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "next_window", lambda _params, _engine: WINDOW)
    assert check("traffic=log") == {"verdict": "clean"}
    assert ran == [(("traffic", "monitor"), True)]
    written = load(PARAMS)
    assert written.composed.overrides == ["trainer.max_epochs=3", "traffic=log", *WINDOW]
    assert written.traffic.end == "2026-11-23T10:00:00.500000Z"
    later = [f"{key}=2026-11-24T0{hour}:00:00Z" for hour, key in enumerate(BOUNDS)]
    monkeypatch.setattr(run, "next_window", lambda _params, _engine: later)
    check()  # the bounds of the last check are not those of the next
    assert load(PARAMS).composed.overrides == ["trainer.max_epochs=3", "traffic=log", *later]


def test_bounds_that_are_given_are_taken(ran: list[Any]) -> None:
    assert check("traffic=log", *WINDOW) == {"verdict": "clean"}
    assert check(*WINDOW) == {"verdict": "clean"}
    assert ran == [(("traffic", "monitor"), True)] * 2


def test_back_to_examples_the_bounds_go(ran: list[Any]) -> None:
    check("traffic=log", *WINDOW)
    check("traffic=clean")
    assert ran[-1] == ((), False)
    assert load(PARAMS).composed.overrides == ["trainer.max_epochs=3", "traffic=clean"]


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["traffic=log", "traffic.start=2026-11-23T10:00:00Z"], "given together"),
        (["traffic=log", WINDOW[0], "traffic.end=2026-11-23T10:00:00.0Z"], "must lie before end"),
        (["traffic=log", "traffic.scenario=noise"], "use scenario none"),
        (["traffic=log", "task=mnist"], "chosen with TASK="),
        (["traffic=log", WINDOW[0], "traffic.end=2026-13-23T10:00:00Z"], "month must be in 1..12"),
        (["traffic=log", "traffic.start=yesterday", "traffic.end=today"], "traffic.start"),
    ],
)
def test_a_wrong_window_is_refused_before_anything_is_written(ran: list[Any], overrides: list[str], why: str) -> None:
    before = PARAMS.read_text()
    with pytest.raises(ConfigError, match=why):
        check(*overrides)
    assert (ran, PARAMS.read_text()) == ([], before)
