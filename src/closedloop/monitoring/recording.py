"""What follows the verdict on a window of the log: the alert, the check's record, the history page."""

import sys
from typing import Any

from sqlalchemy import Engine

from closedloop.config import Params
from closedloop.files import write_text
from closedloop.monitoring import alert
from closedloop.monitoring.history_page import LISTED, page
from closedloop.paths import Paths
from closedloop.prediction_log import attempts, checks
from closedloop.prediction_log.checks import Check
from closedloop.prediction_log.clock import now, to_micros, to_text


def record(params: Params, paths: Paths, engine: Engine, report: dict[str, Any]) -> None:
    """Tell the webhook when that is due, keep the check, draw the page anew.

    In this order: a kill in between repeats an alert, by which its id can tell, and never swallows one.
    Raises LogError.
    """
    name, window = params.task.name, report["window"]
    start, end = to_micros(window["start"]), to_micros(window["end"])
    fate = raise_alert(params, paths, report, _earlier(engine, name, start, end, window["version"]))
    checks.record(engine, name, report, start, end, window["version"], window["rows"], report["verdict"], fate)
    write_history(params, paths, engine)


def raise_alert(params: Params, paths: Paths, report: dict[str, Any], earlier: Check | None) -> str | None:
    """What became of the alert for this window; None where none is due.

    The window's earlier check counts: the same verdict is not told twice, unless the first alert did not arrive.
    """
    if report["verdict"] != "drift":
        return None
    if earlier and earlier.verdict == report["verdict"] and (earlier.alert or "").startswith(alert.DELIVERED):
        return earlier.alert
    pages = {"window": paths.report("drift.html").as_posix(), "history": paths.report("history.html").as_posix()}
    fate = alert.send(alert.body(report, params.task.name, pages, to_text(now())))
    print(f"closedloop: alert {fate}", file=sys.stderr)
    return fate


def _earlier(engine: Engine, task: str, start: int, end: int, version: int) -> Check | None:
    known = checks.recent(engine, task, LISTED)
    return next((c for c in known if (c.start, c.end, c.version) == (start, end, version)), None)


def write_history(params: Params, paths: Paths, engine: Engine) -> None:
    """Write history.html from the log's checks and attempts to retrain. Raises LogError."""
    name = params.task.name
    known, tried = checks.recent(engine, name, LISTED), attempts.recent(engine, name, LISTED)
    write_text(paths.report("history.html"), page(name, params.task.title, known, tried, now()))
