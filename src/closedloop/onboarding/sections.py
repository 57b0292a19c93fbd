"""source.format of what has been looked at, and the settings that texts call for, with notes."""

import math
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from closedloop.data.schema import Delimited, Layout
from closedloop.errors import DataError
from closedloop.onboarding.archives import Folders
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


def archive_format(name: str, archive: str, ending: str, folders: Folders) -> dict[str, Any]:
    """What the formats `text_archive` and `wav_archive` share."""
    note = "the end of each path; a further group (?P<group>…), as for a speaker, keeps its files in one split"
    pattern = rf"{folders.label}\.(?i:{ending[1:]})"
    found = {"name": name, "parts": [{"split": "all", "archive": archive}]}
    if not folders.parts:
        return {**found, "pattern": Noted(pattern, note)}
    every_part = "|".join(re.escape(part) for part in folders.parts)
    test = {"group": "part", "values": [part for part, split in folders.parts.items() if split == "test"]}
    return {
        **found,
        "pattern": Noted(f"(?P<part>{every_part})/{pattern}", note),
        "test": Noted(test, "the official test split; take it out to draw one instead"),
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


LONGEST_TEXT = 100_000  # characters: preprocess.features.max_characters
PAD = 1.2  # tokens a word, of what nineteen of twenty texts have


def text_settings(texts: pa.Array | pa.ChunkedArray) -> dict[str, dict[str, Any]]:
    """The sizes that hold these texts.

    Raises DataError when one is longer than a request may be.
    """
    longest = pc.max(pc.utf8_length(texts)).as_py()
    if longest > LONGEST_TEXT:
        raise DataError(f"the longest text has {longest:,} characters, at most {LONGEST_TEXT:,} are taken: cut it up")
    words = pc.quantile(pc.add(pc.count_substring_regex(texts, r"\s+"), 1), 0.95)[0].as_py()
    tokens = 16 * math.ceil(min(512, max(32, PAD * words)) / 16)
    characters = min(LONGEST_TEXT, 500 * math.ceil(1.2 * longest / 500))
    features = {
        "max_tokens": Noted(tokens, f"19 of 20 texts have at most {words:.0f} words; what comes later n-grams see"),
        "max_characters": Noted(characters, f"of a request; the longest text has {longest:,}"),
    }
    return {"preprocess": {"features": features}}
