"""The attempts to retrain and the latest windows, as two tables."""

from typing import Any

from closedloop.config import Params
from closedloop.monitoring.quality import shown
from closedloop.monitoring.recording import write_history
from closedloop.paths import Paths
from closedloop.prediction_log import attempts, checks
from closedloop.prediction_log.attempts import Attempt
from closedloop.prediction_log.checks import Check
from closedloop.prediction_log.store import open_log
from closedloop.retraining.decision import minute

ATTEMPTS, WINDOWS = 20, 10  # rows shown at most
WIDTH = 100  # characters of a reason


def history(params: Params) -> str:
    """One line an attempt, the latest first, with the reason of its outcome; then one line a window. The history page
    is drawn anew.

    Raises LogError when the prediction log cannot be read.
    """
    engine, task = open_log(params), params.task.name
    past, judged = attempts.recent(engine, task, ATTEMPTS), checks.recent(engine, task, WINDOWS)
    paths = Paths(task)
    write_history(params, paths, engine)
    page = f"drawn, with what moved in each window: {paths.report('history.html')}"
    return "\n".join([*_attempts(past, task), "", *_windows(judged, task), "", page])


def _attempts(past: list[Attempt], task: str) -> list[str]:
    if not past:
        return [f"no attempt to retrain {task} yet; `make retrain` makes one when there is a reason to"]
    head = f"{'started':22}{'trigger':12}{'new data':>9}  {'model':>6}  {'outcome':13}{'champion':>8}  why"
    return [head, *(_attempt(attempt) for attempt in reversed(past))]


def _attempt(attempt: Attempt) -> str:
    used, why = (attempt.data or {}).get("used"), attempt.decided_by or "; ".join(attempt.reasons)
    return (
        f"{minute(attempt.started):22}{attempt.trigger:12}{'' if used is None else f'{used:,}':>9}  "
        f"{attempt.challenger or '':>6}  {attempt.outcome:13}{_champion(attempt):>8}  {_short(why)}"
    )


def _champion(attempt: Attempt) -> str:
    before, after = attempt.champion_before, attempt.champion_after
    return f"{before} -> {after}" if after not in (None, before) else f"{before or ''}"


def _windows(judged: list[Check], task: str) -> list[str]:
    if not judged:
        return [f"no window of {task} has been checked yet; `make monitor ARGS=traffic=log` checks one"]
    head = f"{'window ends':22}{'rows':>12}  {'version':>7}  {'verdict':13}{'quality':>8}  why"
    return [head, *(_window(check) for check in reversed(judged))]


def _window(check: Check) -> str:
    reasons = check.report.get("reasons", [])
    return (
        f"{minute(check.end):22}{check.rows:>12,}  {check.version:>7}  {check.verdict.replace('_', ' '):13}"
        f"{_quality(check.report):>8}  {_short(reasons[0] if reasons else '')}".rstrip()
    )


def _quality(report: dict[str, Any]) -> str:
    """Measured, or estimated and marked so."""
    found = shown(report)
    return f"{'~' if found.estimated else ''}{found.number('value')}" if found else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
