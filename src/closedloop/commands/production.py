"""The model in production: the server, its log, the labels that come back, retraining, and the drill."""

import argparse
from typing import get_args

from closedloop.commands import PARAMS, Command, Options, Parser
from closedloop.commands.registry import port
from closedloop.config.operation import Scenario


def serve(options: Options) -> int:
    from closedloop.config import load
    from closedloop.serving.server import serve as run_server

    params = load(PARAMS)
    return run_server(params, options.host, options.port or params.serving.port, options.workers)


def retrain(options: Options) -> int:
    from closedloop.retraining.loop import retrain as run_loop

    return run_loop(PARAMS, force=options.force)


def history(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.retraining.history import history as listed

    print(listed(load(PARAMS)))


def drill(options: Options) -> int:
    from closedloop.config import load
    from closedloop.drill.drill import drill as run_drill
    from closedloop.paths import Paths

    params = load(PARAMS)
    chosen = {key: value for key in ("scenario", "severity") if (value := getattr(options, key)) is not None}
    config = params.drill.model_copy(update=chosen)
    report = run_drill(params.model_copy(update={"drill": config}), options.seed)
    print(f"\n{'passed' if report.passed else 'FAILED'}; figures in {Paths(params.task.name).report('drill.json')}")
    return 0 if report.passed else 1


def _serve(parser: Parser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="anything but loopback needs API keys")
    parser.add_argument("--port", type=port, help="default: serving.port")
    parser.add_argument("--workers", type=_positive, help="processes; default: serving.workers")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text}")
    return int(text)


def _force(parser: Parser) -> None:
    parser.add_argument("--force", action="store_true", help="by hand: without waiting for an alarm or a cool-down")


def _drill(parser: Parser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of training, splits and shift")
    parser.add_argument("--scenario", choices=[name for name in get_args(Scenario) if name != "none"])
    parser.add_argument("--severity", type=int, choices=range(1, 6))


COMMANDS = [
    Command("serve", "answer requests with the champion", serve, _serve),
    Command(
        "retrain", "retrain when there is a reason to; exit code 3 when drift stands and labels lack", retrain, _force
    ),
    Command("history", "list the attempts to retrain and the latest windows", history),
    Command("drill", "rehearse drift, retraining and rollback on a server that runs", drill, _drill),
]
