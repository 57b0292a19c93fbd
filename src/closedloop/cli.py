"""The command `closedloop`, which the Makefile's targets call. Exit codes: 0 fine, 1 failed, 2 usage, 3 drift found."""

import argparse
import sys

from closedloop.commands import delivery, onboarding, pipeline, production, registry
from closedloop.stage import guarded

COMMANDS = [*onboarding.COMMANDS, *pipeline.COMMANDS, *registry.COMMANDS, *production.COMMANDS, *delivery.COMMANDS]


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, run the command, exit with its code."""

    def work() -> int | None:
        options = _parser().parse_args(arguments)
        code: int | None = options.work(options)
        return code

    sys.exit(guarded(work))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="closedloop", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.purpose, description=command.purpose)
        command.arguments(sub)
        sub.set_defaults(work=command.work)
    return parser


if __name__ == "__main__":
    main()
