"""monitor: the window against the reference -> verdict, page, picture; drift is a finding here, not a failure.

A window of the log also leaves a record in it, an alert where one is due, and the history page.
"""

from typing import Any

from closedloop.config import Params
from closedloop.paths import Paths
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    from closedloop.monitoring import monitor
    from closedloop.registry.runs import log_monitoring

    report = monitor.check(params, paths)
    print(monitor.headline(report))
    if params.traffic.source == "log":
        _record(params, paths, report)
    log_monitoring(params, report["window"]["version"], monitor.figures(report), monitor.artifacts(paths))


def _record(params: Params, paths: Paths, report: dict[str, Any]) -> None:
    from closedloop.monitoring.recording import record
    from closedloop.prediction_log.store import open_log

    record(params, paths, open_log(params), report)


if __name__ == "__main__":
    main()
