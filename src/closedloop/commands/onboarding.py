"""A task from a user's own data."""

from pathlib import Path

from closedloop.commands import Command, Options, Parser


def new(options: Options) -> None:
    from closedloop.onboarding.create import create
    from closedloop.onboarding.proposal import Asked

    columns = tuple(name.strip() for name in options.columns.split(",")) if options.columns else ()
    path = Path(options.data).expanduser().resolve()
    print(create(Asked(options.task, path, options.target, options.text, columns)))


def _new(parser: Parser) -> None:
    parser.add_argument("task", help="the new task's name: small letters, digits and _")
    parser.add_argument("data", metavar="from", help="a file or a folder, which stays where it is")
    parser.add_argument("--target", default="", help="of a table: the column that is to be predicted")
    parser.add_argument("--text", default="", help="of a table: the column with the texts, for a task of texts")
    parser.add_argument("--columns", default="", help="of delimited text without a header: a,b,c")


COMMANDS = [Command("new", "write the configuration of a task from a file or folder of your own", new, _new)]
