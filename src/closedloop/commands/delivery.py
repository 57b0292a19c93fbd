"""What leaves this machine: data and models by the DVC remote, a report for those who review."""

from closedloop.commands import PARAMS, Command, Options, Parser


def restore(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.remote import restore as fetch

    print(fetch(load(PARAMS)))


def publish(_options: Options) -> None:
    from closedloop.config import load
    from closedloop.remote import publish as send

    print(send(load(PARAMS)))


def report(options: Options) -> None:
    from closedloop.change_report import report as describe
    from closedloop.config import load

    print(describe(load(PARAMS), options.base))


def _base(parser: Parser) -> None:
    parser.add_argument("--base", default="HEAD", help="the commit to compare with")


COMMANDS = [
    Command("restore", "fetch data and models of dvc.lock from the DVC remote", restore),
    Command("publish", "send data and models of dvc.lock to the DVC remote", publish),
    Command("report", "what a retraining has changed, as Markdown", report, _base),
]
