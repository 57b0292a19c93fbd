"""What a receipt stands for: another judge, another verdict."""

from closedloop.receipt import JUDGES
from imported import PACKAGE, closure

DRAWING = {"evaluation/__init__.py", "evaluation/figures.py"}  # shows a verdict's figures, and changes none


def test_every_module_that_a_comparison_rests_on_is_among_the_judges() -> None:
    needed = {name for name in closure([PACKAGE / "registration.py"]) if name.startswith("evaluation/")}
    assert needed - DRAWING <= set(JUDGES)
