"""monitor: the window against the reference -> verdict, page, picture; drift is a finding here, not a failure."""

from closedloop.config import Params
from closedloop.paths import Paths
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    from closedloop.monitoring import monitor
    from closedloop.registry.runs import log_monitoring

    report = monitor.check(params, paths)
    log_monitoring(params, report["window"]["version"], monitor.figures(report), monitor.artifacts(paths))
    print(monitor.headline(report))


if __name__ == "__main__":
    main()
