"""The model card is shown by MLflow: nothing in it may act there."""

from closedloop.model_card import _baseline, _limits, plain


def test_names_cannot_carry_markup() -> None:
    assert plain("<script>alert(1)</script>") == "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert plain("b|`*x*`") == r"b\|\`\*x\*\`"


def test_a_rule_by_hand_is_not_said_to_be_fitted() -> None:
    said = _baseline({"name": "a rule by hand", "metrics": {"return": {"value": 483.0}}, "gains": {}}, "return")
    assert "a rule by hand, return of an episode 483.0000" in said
    assert "fitted" not in said


def test_the_card_of_a_generator_names_its_judge() -> None:
    said = _limits({"headline": "energy_score", "judge": {"name": "digits", "version": 3}})
    assert "a classifier, version 3 of digits," in said
