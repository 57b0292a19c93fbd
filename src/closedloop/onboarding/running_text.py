"""One running text: how it is cut into passages, and what a language model of it can be asked for."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from closedloop.errors import DataError
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.proposal import Asked, Proposal
from closedloop.onboarding.sections import CHECK

FEWEST = 20_000  # characters, of which 60 passages prove the model, 50 watch it, and some 10,000 characters train it
SHORTEST, LONGEST = 64, 512  # characters of a passage
PASSAGES = 600  # that a text should have before they get longer
WATCHED, CHOSEN, TESTED = 100, 60, 60  # passages that production, validation and test should have
USUAL_WINDOW = 300
READ = 20_000_000  # characters that are learnt from, over all epochs: a minute or two on a CPU
GUESSED = ("cp1252", "latin-1")
DOUBTFUL = 0.5  # share of rows with as many values as the first, from which it may be a table for all that
LETTERS = 0.5  # of the characters that are no white space: with fewer, columns set apart by blanks are likely


def propose(raw: Path, asked: Asked, encoding: str, in_columns: float) -> Proposal:
    """A language model of the text, of whose first lines a share looks like rows of a table.

    Raises DataError when the text is too short to learn from, or is not in the encoding throughout.
    """
    text = _decoded(raw, encoding)
    if len(text) < FEWEST:
        raise DataError(
            f"{asked.path} is a running text of {len(text):,} characters, too short for a language model: it needs "
            f"{FEWEST:,} to learn which letters follow which, 100,000 to learn words, a million to write sentences; "
            "add text. A table is read with TARGET=…, the column to predict; texts of classes lie in a folder a class"
        )
    passage = _passage(len(text))
    passages = len(text) // passage
    doubts = _doubts(text, in_columns)
    note = f"{CHECK}: the bytes are no UTF-8, so this was guessed" if encoding in GUESSED else ""
    return Proposal(
        kind="texts",
        target="text",
        why="a running text, as its lines are no rows of columns: a language model learns how it goes on",
        form=f"one text, {encoding}",
        content=f"{len(text):,} characters, {len(set(text))} different ones; some {passages:,} passages of {passage}",
        format={
            "name": "text_file",
            "parts": [{"split": "all", "file": raw.name}],
            "encoding": Noted(encoding, note),
            "passage": Noted(passage, "characters"),
            "test_share": Noted(_share(TESTED, passages, 0.1, 0.2), "of the text, its end"),
        },
        classes={},
        title=f"how {asked.path.name} goes on",
        checks=(*([f"encoding: {encoding} was guessed, as the bytes are no UTF-8"] if note else []), *doubts),
        settings={
            "task": {"target": Noted("text", f"{CHECK}: {'; '.join(doubts)}" if doubts else "how it goes on")},
            **_settings(text, passages),
        },
    )


def _decoded(raw: Path, encoding: str) -> str:
    try:
        return raw.read_bytes().decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(f"{raw} begins as {encoding}, and byte {error.start} is not: {error.reason}") from None


def _doubts(text: str, in_columns: float) -> list[str]:
    """Why it could be no running text."""
    instead = "if this is a table, say TARGET=… with the column to predict"
    doubts = []
    if in_columns >= DOUBTFUL:
        doubts.append(f"{in_columns:.0%} of the first lines have as many columns as the first one: {instead}")
    signs = "".join(text.split())
    if sum(map(str.isalpha, signs)) < LETTERS * len(signs):
        doubts.append(
            f"less than {LETTERS:.0%} of its characters are letters: {instead}; a comma, semicolon, tab or bar stands "
            "between columns"
        )
    return doubts


def _passage(characters: int) -> int:
    """A power of two, so that a short text has enough passages to split, and the passages of a long one are long."""
    return int(2 ** math.floor(math.log2(min(LONGEST, max(SHORTEST, characters / PASSAGES)))))


def _share(wanted: int, passages: int, least: float, most: float) -> float:
    return round(min(most, max(least, wanted / passages)), 2)


def _settings(text: str, passages: int) -> dict[str, dict[str, Any]]:
    short = len(text) < READ / 20
    epochs = min(30 if short else 20, max(1, round(READ / len(text))))
    nats = _alone(text)
    production_share = _share(WATCHED, passages, 0.05, 0.2)
    window = math.floor(0.9 * production_share * passages * (1 - _share(TESTED, passages, 0.1, 0.2)))
    return {
        "preprocess": {
            "validation_share": _share(CHOSEN, passages, 0.03, 0.1),
            "production_share": Noted(production_share, "plays the traffic; never trained on"),
        },
        "optimizer": {"lr": 0.004},
        "trainer": {
            "max_epochs": Noted(epochs, "raise it where the loss still falls at the end (make plots)"),
            "batch_size": 16 if short else 64,
            "early_stopping": {"patience": Noted(0, "the schedule ends the training")},
            **({"threads": 1} if short else {}),
        },
        "gate": {
            "max_nats": Noted(
                math.ceil(nats * 100) / 100,
                f"{CHECK}: the mean surprise at a character where nothing is known but how frequent each is; ask for "
                "what your use needs",
            )
        },
        "traffic": {"window": min(window, USUAL_WINDOW)},
        "drill": {"scenario": "shouting"},
    }


def _alone(text: str) -> float:
    """The entropy of single characters, in nats."""
    return -sum(count / len(text) * math.log(count / len(text)) for count in Counter(text).values())
