"""What a receipt stands for: another judge, another verdict."""

import ast
from pathlib import Path

from closedloop.receipt import JUDGES, PACKAGE


def imported(file: Path) -> set[str]:
    """The modules of evaluation/ that a module imports."""
    found = (node.module or "" for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom))
    names = [name.removeprefix("closedloop.").replace(".", "/") for name in found]
    return {f"{name}.py" for name in names if name.startswith("evaluation/")}


def test_every_module_that_a_comparison_rests_on_is_among_the_judges() -> None:
    needed: set[str] = set()
    unseen = {"registration.py"}
    while unseen:
        needed |= unseen
        unseen = set().union(*(imported(PACKAGE / name) for name in unseen)) - needed
    assert needed <= set(JUDGES)
