"""The commands behind `closedloop`, by what they are about; each is a function of the parsed options."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PARAMS = Path("params.yaml")
Options = argparse.Namespace
Parser = argparse.ArgumentParser


def no_arguments(_parser: Parser) -> None:
    """For commands that take none."""


@dataclass(frozen=True)
class Command:
    """A word on the command line, what it is for, what it does, and the arguments that it takes."""

    name: str
    purpose: str
    work: Callable[[Options], int | None]
    arguments: Callable[[Parser], None] = no_arguments
