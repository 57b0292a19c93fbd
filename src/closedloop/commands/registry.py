"""The registered versions: which there are, which one is deployed, and MLflow's pages."""

import argparse

from closedloop.commands import PARAMS, Command, Options, Parser
from closedloop.errors import ConfigError

LATEST = 5  # trainings that are compared unless others are named


def models(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.registry.listing import list_versions

    print(list_versions(load(PARAMS)))


def promote(options: Options) -> None:
    from closedloop.config import load
    from closedloop.registry.aliases import promote as move

    params = load(PARAMS)
    print(f"version {move(params, options.version).version} of {params.task.name} is the champion now")


def rollback(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.registry.aliases import rollback as back

    params = load(PARAMS)
    move = back(params)
    print(f"version {move.version} of {params.task.name} is the champion now ({move.reason})")


def challenge(options: Options) -> None:
    from closedloop.config import load
    from closedloop.registry.challenge import challenge as try_out

    params = load(PARAMS)
    try_out(params, options.version)
    mode = params.serving.challenger
    how = f"serving.challenger is {mode}" if mode != "off" else "serving.challenger is off: set it to shadow or canary"
    print(f"version {options.version} of {params.task.name} is the challenger now; {how}")


def unchallenge(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.registry.challenge import unchallenge as take_off

    params = load(PARAMS)
    print(f"version {take_off(params)} of {params.task.name} challenges the champion no longer")


def judge(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.judging import judge as decide
    from closedloop.paths import Paths

    params = load(PARAMS)
    judgement = decide(params, Paths(params.task.name))
    print(f"{judgement['verdict']}: {judgement['reason']}")


def compare(options: Options) -> None:
    from closedloop.comparing.comparison import side_by_side
    from closedloop.comparing.figure import draw
    from closedloop.comparing.page import page
    from closedloop.comparing.text import text
    from closedloop.config import load
    from closedloop.files import write_text
    from closedloop.paths import Paths
    from closedloop.registry.records import latest_runs, named_runs

    params = load(PARAMS)
    paths = Paths(params.task.name)
    if options.runs and options.last:
        raise ConfigError("either name runs, or ask for the last ones: RUNS and LAST do not go together")
    records = named_runs(params, options.runs) if options.runs else latest_runs(params, options.last or LATEST)
    found = side_by_side(records, params.evaluation.confidence)
    picture, file = paths.report("comparison.png"), paths.report("comparison.html")
    draw(found, picture)
    write_text(file, page(found, params.task.title, picture))
    print(f"{text(found)}\n  look   {file} · make ui\n")


def ui(options: Options) -> int:
    from closedloop.config import load
    from closedloop.registry.ui import serve

    return serve(load(PARAMS), options.port)


def positive(text: str) -> int:
    """A whole number from 1, from the command line."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text}")
    return int(text)


def port(text: str) -> int:
    """A TCP port that needs no privileges, from the command line."""
    if not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1024 to 65535, not {text}")
    return int(text)


def _version(parser: Parser) -> None:
    def version(text: str) -> int:
        if not text.isdigit() or int(text) < 1:
            raise ConfigError("VERSION must be a whole number from 1; `make models` lists the versions")
        return int(text)

    parser.add_argument("version", type=version)


def _runs(parser: Parser) -> None:
    parser.add_argument("runs", nargs="*", metavar="RUN", help="an id, its first six characters or more, or a version")
    parser.add_argument("--last", type=positive, metavar="N", help=f"the last N trainings, {LATEST} by default")


def _port(parser: Parser) -> None:
    parser.add_argument("--port", type=port, default=5000)


COMMANDS = [
    Command("models", "list the registered versions", models),
    Command("promote", "make a version the champion by hand", promote, _version),
    Command("rollback", "make the champion's predecessor the champion again", rollback),
    Command("challenge", "let a version run beside the champion, in shadow or as a canary", challenge, _version),
    Command("unchallenge", "take the challenger off the live traffic", unchallenge),
    Command("judge", "decide between challenger and champion on labelled live traffic", judge),
    Command("compare", "show what differs between runs, and which one is better", compare, _runs),
    Command("ui", "open MLflow on this machine's loopback address", ui, _port),
]
