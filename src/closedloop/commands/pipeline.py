"""Composing the configuration, running the stages, and looking at what came of it."""

from closedloop.commands import PARAMS, Command, Options, Parser
from closedloop.errors import DriftFound


def compose_params(options: Options) -> None:
    from closedloop.reproduction import exclusive

    with exclusive():
        _compose(options)


def _compose(options: Options) -> None:
    from closedloop.composition import write

    task, overrides = _chosen(options)
    write(PARAMS, task, overrides)
    print(f"params.yaml: task {task}" + (f", {' '.join(overrides)}" if overrides else ""))


def _chosen(options: Options) -> tuple[str, list[str]]:
    """The task, and the overrides: those already recorded stay unless a task is named."""
    from closedloop.composition import current, merged

    task, recorded = (options.task, []) if options.task else current(PARAMS)
    return task, merged(recorded, options.overrides)


def run(options: Options) -> None:
    from closedloop.reproduction import exclusive, reproduce

    with exclusive():
        if options.task or options.overrides:
            _compose(options)
        reproduce(PARAMS)
    summary(options)


def tune(options: Options) -> None:
    from closedloop.composition import compose
    from closedloop.config import load, parse
    from closedloop.paths import Paths
    from closedloop.reproduction import exclusive, reproduce
    from closedloop.tuning.space import read_space
    from closedloop.tuning.tune import tune as search

    with exclusive():
        # a mistake in the space is told before anything is written, and before data are prepared
        read_space(parse(compose(*_chosen(options)), "the configuration composed from conf/"))
        if options.task or options.overrides:
            _compose(options)
        reproduce(PARAMS, ["preprocess"])
        params = load(PARAMS)
        print(search(params, Paths(params.task.name)))


def monitor(options: Options) -> None:
    from closedloop.config import load
    from closedloop.monitoring.run import check
    from closedloop.paths import Paths

    report = check(PARAMS, options.task, options.overrides)
    if isinstance(report, str):
        print(report)
        return
    if load(PARAMS).traffic.source == "examples":
        summary(options)
    if report["verdict"] == "drift":
        page = Paths(load(PARAMS).task.name).report("drift.html")
        raise DriftFound(f"drift: {'; '.join(report['reasons'])}. See {page}")


def summary(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.paths import Paths
    from closedloop.summary import summarise

    params = load(PARAMS)
    print(summarise(params, Paths(params.task.name)))


def plots(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.plots import draw

    page = draw(load(PARAMS).task.name)
    print(f"open {page} in a browser")


def _task_and_overrides(parser: Parser) -> None:
    parser.add_argument("--task", help="a file of conf/task/, taken as it stands; default: the composed task")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="Hydra overrides, e.g. trainer.max_epochs=3")


COMMANDS = [
    Command("params", "compose params.yaml from conf/", compose_params, _task_and_overrides),
    Command("run", "run the pipeline and print what came of it", run, _task_and_overrides),
    Command("tune", "search for better values of the configuration", tune, _task_and_overrides),
    Command("monitor", "judge a window of traffic; exit code 3 when it has drifted", monitor, _task_and_overrides),
    Command("summary", "print what the last run came to", summary),
    Command("plots", "draw the plots of dvc.yaml into one page that works offline", plots),
]
