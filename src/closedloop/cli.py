"""The command `closedloop`, which the Makefile's targets call. Exit codes: 0 fine, 1 failed, 2 usage, 3 drift found."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from closedloop.errors import ConfigError, DriftFound
from closedloop.stage import guarded

PARAMS = Path("params.yaml")
Command = Callable[[argparse.Namespace], int | None]


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, run the command, exit with its code."""
    options = _parser().parse_args(arguments)
    sys.exit(guarded(lambda: options.command(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="closedloop", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    with_overrides: list[tuple[str, Command, str]] = [
        ("params", compose_params, "compose params.yaml from conf/"),
        ("run", run, "run the pipeline and print what came of it"),
        ("monitor", monitor, "send traffic through the champion and judge it; exit code 3 when it has drifted"),
    ]
    for name, command, purpose in with_overrides:
        sub = commands.add_parser(name, help=purpose, description=purpose)
        sub.add_argument("--task", help="a file of conf/task/, taken as it stands; default: the composed task")
        sub.add_argument("overrides", nargs="*", metavar="key=value", help="Hydra overrides, e.g. trainer.max_epochs=3")
        sub.set_defaults(command=command)
    plain: list[tuple[str, Command, str]] = [
        ("summary", summary, "print what the last run came to"),
        ("models", models, "list the registered versions"),
        ("rollback", rollback, "make the champion's predecessor the champion again"),
        ("plots", plots, "draw the plots of dvc.yaml into one page that works offline"),
    ]
    for name, command, purpose in plain:
        sub = commands.add_parser(name, help=purpose, description=purpose)
        sub.set_defaults(command=command)
    sub = commands.add_parser("promote", help="make a version the champion by hand")
    sub.add_argument("version", type=int)
    sub.set_defaults(command=promote)
    sub = commands.add_parser("ui", help="open MLflow on this machine's loopback address")
    sub.add_argument("--port", type=_port, default=5000)
    sub.set_defaults(command=ui)
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1024 to 65535, not {text}")
    return int(text)


def compose_params(options: argparse.Namespace) -> None:
    from closedloop.reproduction import exclusive

    with exclusive():
        _compose(options)


def _compose(options: argparse.Namespace) -> None:
    """Compose params.yaml; overrides without a task are added to those already recorded."""
    from closedloop.composition import current, merged, write

    task, recorded = (options.task, []) if options.task else current(PARAMS)
    if any(override.partition("=")[0] == "task" for override in options.overrides):
        raise ConfigError("the task is chosen with TASK=…, or --task, and not among the overrides")
    overrides = merged(recorded, options.overrides)
    write(PARAMS, task, overrides)
    print(f"params.yaml: task {task}" + (f", {' '.join(overrides)}" if overrides else ""))


def run(options: argparse.Namespace) -> None:
    from closedloop.reproduction import exclusive, reproduce

    with exclusive():
        if options.task or options.overrides:
            _compose(options)
        reproduce(PARAMS)
    summary(options)


def monitor(options: argparse.Namespace) -> None:
    from closedloop.config import load
    from closedloop.files import read_json
    from closedloop.paths import Paths

    run(options)
    report = Paths(load(PARAMS).task.name).report("drift.json")
    verdict = read_json(report)
    if verdict["verdict"] == "drift":
        raise DriftFound(f"drift: {'; '.join(verdict['reasons'])}. See {report.with_suffix('.html')}")


def summary(_options: argparse.Namespace) -> None:
    from closedloop.config import load
    from closedloop.paths import Paths
    from closedloop.summary import summarise

    params = load(PARAMS)
    print(summarise(params, Paths(params.task.name)))


def models(_options: argparse.Namespace) -> None:
    from closedloop.config import load
    from closedloop.registry.listing import list_versions

    print(list_versions(load(PARAMS)))


def promote(options: argparse.Namespace) -> None:
    from closedloop.config import load
    from closedloop.registry.aliases import promote as move

    if options.version < 1:
        raise ConfigError("VERSION must be a whole number from 1; `make models` lists the versions")
    params = load(PARAMS)
    print(f"version {move(params, options.version).version} of {params.task.name} is the champion now")


def rollback(_options: argparse.Namespace) -> None:
    from closedloop.config import load
    from closedloop.registry.aliases import rollback as back

    params = load(PARAMS)
    move = back(params)
    print(f"version {move.version} of {params.task.name} is the champion now ({move.reason})")


def plots(_options: argparse.Namespace) -> None:
    from closedloop.config import load
    from closedloop.plots import draw

    page = draw(load(PARAMS).task.name)
    print(f"open {page} in a browser")


def ui(options: argparse.Namespace) -> int:
    from closedloop.config import load
    from closedloop.registry.ui import serve

    return serve(load(PARAMS), options.port)


if __name__ == "__main__":
    main()
