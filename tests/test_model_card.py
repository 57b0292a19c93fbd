"""The model card is shown by MLflow: nothing in it may act there."""

from closedloop.model_card import plain


def test_names_cannot_carry_markup() -> None:
    assert plain("<script>alert(1)</script>") == "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert plain("b|`*x*`") == r"b\|\`\*x\*\`"
