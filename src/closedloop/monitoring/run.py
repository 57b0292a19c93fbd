"""The command that checks: production examples by the whole pipeline, or the next window of the log by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from closedloop import composition
from closedloop.config import Params, parse
from closedloop.errors import DriftFound
from closedloop.files import read_json
from closedloop.monitoring.schedule import has_bounds, next_window, require_settled, without_bounds
from closedloop.paths import Paths
from closedloop.reproduction import exclusive, reproduce

ALONE = ("traffic", "monitor")  # the stages of a check of the log


def check(path: Path, task: str | None, overrides: Sequence[str], conf: Path = Path("conf")) -> dict[str, Any] | str:
    """Judge the traffic that params.yaml names with the overrides; return the report, or why there is no window yet.

    The next window of the log is written into params.yaml as overrides, and then the stages traffic and monitor run
    alone, even if nothing has changed: labels may have arrived, and a check of production must never retrain. Bounds
    among the overrides are taken as they are. Without a window params.yaml stays as it was.
    Raises ConfigError for a wrong configuration, StageError when a stage fails, LogError when the log does, and
    DriftFound where there is no window yet because the server fails.
    """
    with exclusive():
        task, recorded = (task, []) if task else composition.current(path)
        wanted = composition.merged(recorded, overrides)
        params = parse(composition.compose(task, wanted, conf), f"the configuration composed from {conf}/")
        from_log = params.traffic.source == "log"
        if not from_log:
            wanted = without_bounds(wanted)
        elif not has_bounds(overrides):
            bounds = _next_window(params)
            if isinstance(bounds, str):
                return bounds
            wanted = composition.merged(wanted, bounds)
        else:
            require_settled(params)
        composition.write(path, task, wanted, conf)
        reproduce(path, ALONE if from_log else (), alone=from_log)
    report: dict[str, Any] = read_json(Paths(task).report("drift.json"))
    return report


def _next_window(params: Params) -> list[str] | str:
    from closedloop.monitoring.outage import outage
    from closedloop.prediction_log.store import open_log

    engine = open_log(params)
    try:
        found = next_window(params, engine)
        if isinstance(found, str) and (failing := outage(params, engine)):
            from closedloop.monitoring.recording import raise_alert  # and with it pandas

            raise_alert(params, Paths(params.task.name), failing, None)
            raise DriftFound(f"the server fails: {'; '.join(failing['reasons'])}")
        return found
    finally:
        engine.dispose()
