"""source.format of what has been looked at, with notes."""

from collections.abc import Sequence
from typing import Any

from closedloop.data.schema import Delimited, Layout
from closedloop.onboarding.columns import Column
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.roles import renamings

CHECK = "CHECK"  # begins the notes on what was guessed


def table_format(file: str, target: str, layout: Layout, columns: Sequence[Column]) -> dict[str, Any]:
    """The format `table`: every column in one place."""
    rename = renamings(columns)

    def named(*roles: str) -> list[str]:
        return [rename.get(one.name, one.name) for one in columns if one.role in roles]

    return {
        "name": "table",
        "parts": [{"split": "all", "file": file}],
        "layout": _layout(layout),
        **({"rename": Noted(rename, "every example has a column of that name for something else")} if rename else {}),
        "target": target,
        **_aside(columns),
        "numbers": Noted(
            named("number"), f"{CHECK}: whole numbers that are codes, as of a region, belong to categories"
        ),
        "categories": Noted(named("category"), "in a request a text; another than in training counts as a rare one"),
        "ignored": Noted(
            named("left out"), f"{CHECK}: what the model must not see, such as what is known only after the target"
        ),
    }


def text_format(file: str, text: str, target: str, layout: Layout, columns: Sequence[Column]) -> dict[str, Any]:
    """The format `text_columns`."""
    return {
        "name": "text_columns",
        "parts": [{"split": "all", "file": file}],
        "layout": _layout(layout),
        "text": Noted(text, "the column that is read; columns that are not named here are left aside"),
        "target": target,
        **_aside(columns),
    }


def _layout(layout: Layout) -> dict[str, Any]:
    content = layout.model_dump(exclude_defaults=True)
    content = {"name": layout.name, **content}
    if isinstance(layout, Delimited):
        content |= {"delimiter": layout.delimiter, "encoding": layout.encoding}
        if layout.encoding in ("cp1252", "latin-1"):
            content["encoding"] = Noted(layout.encoding, f"{CHECK}: the bytes are no UTF-8, so this was guessed")
    content["missing"] = Noted(layout.missing, f"{CHECK}: texts that stand for a missing value, here and in requests")
    return content


def _aside(columns: Sequence[Column]) -> dict[str, Any]:
    notes = {
        "id": "of distinct names; the model does not see it",
        "group": f"{CHECK}: rows of one value never stand in two splits; take it out where rows have nothing in common",
        "time": f"{CHECK}: splits follow its order, the latest rows are production; take it out to draw them instead",
    }
    found: dict[str, Any] = {one.role: Noted(one.name, notes[one.role]) for one in columns if one.role in notes}
    time = next((one.time for one in columns if one.role == "time" and one.time), None)
    if time:
        note = (
            f"{CHECK}: day and month could be the other way round"
            if time.ambiguous
            else "ISO 8601, or as strptime has it"
        )
        found["time_format"] = Noted(time.pattern, note)
    return found
