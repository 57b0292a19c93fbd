"""Shifts texts on purpose, as they would arrive after the world has changed."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from closedloop.data.examples import LABEL
from closedloop.errors import ConfigError, DataError
from closedloop.tasks.imbalance import imbalanced_rows
from closedloop.tasks.texts.request import texts, with_texts

# Strength by severity 1 to 5; a person reads the third without effort.
TYPOS = (0.02, 0.05, 0.10, 0.16, 0.25)  # share of the letters that a slip of the finger hits
SHOUTING = (0.15, 0.30, 0.50, 0.75, 1.0)  # share of the texts in upper case throughout
TRUNCATION = (0.8, 0.65, 0.5, 0.35, 0.2)  # share of each text that is left
OBFUSCATION = (0.1, 0.2, 0.35, 0.55, 0.8)  # share of the letters with a double that are written as it: fr33
HOMOGLYPHS = (0.05, 0.12, 0.25, 0.45, 0.7)  # share of the Latin letters that are written as their Cyrillic doubles
IMBALANCE = (0.15, 0.30, 0.45, 0.65, 0.85)  # share of the texts that is redrawn from the rarest class

DIGITS = dict(zip("aegiostzAEGIOSTZ", "4391057243910572", strict=True))
CYRILLIC = dict(zip("aceopxyABCEHKMOPTXY", "асеорхуАВСЕНКМОРТХУ", strict=True))
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of the keyboard
NEIGHBOURS = {
    letter: "".join(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
    for row in ROWS
    for place, letter in enumerate(row)
}


def shift(examples: pa.Table, scenario: str, severity: int, rng: np.random.Generator) -> pa.Table:
    """Return as many examples as they would arrive in a scenario at a severity from 1 to 5; `none` changes nothing.

    Raises ConfigError for an unknown scenario or severity, DataError when imbalance finds an example without a label.
    """
    if scenario == "none":
        return examples
    if severity not in range(1, 6):
        raise ConfigError(f"traffic.severity must be from 1 to 5, not {severity}")
    if scenario == "imbalance":
        return _imbalance(examples, IMBALANCE[severity - 1], rng)
    if scenario not in CORRUPTIONS:
        raise ConfigError(
            f"traffic.scenario must be one of none, {', '.join(CORRUPTIONS)}, imbalance, not {scenario!r}"
        )
    corrupt, strengths = CORRUPTIONS[scenario]
    return with_texts(examples, [corrupt(text, strengths[severity - 1], rng) for text in texts(examples)])


def _typos(text: str, share: float, rng: np.random.Generator) -> str:
    """A letter is swapped with the next character, left out, doubled, or its neighbour on the keyboard is hit."""
    slips, kinds = rng.random(len(text)) < share, rng.integers(4, size=len(text))
    typed, place = [], 0
    while place < len(text):
        letter, after = text[place], text[place + 1 : place + 2]
        if slips[place] and letter.isalpha():
            near = NEIGHBOURS.get(letter.lower(), letter)
            hit = near[int(kinds[place]) % len(near)]
            typed.append((after + letter, "", letter + letter, hit)[kinds[place]])
            place += len(after) * (kinds[place] == 0)
        else:
            typed.append(letter)
        place += 1
    return "".join(typed) or text  # nothing is never sent


def _shouting(text: str, share: float, rng: np.random.Generator) -> str:
    return text.upper() if rng.random() < share else text


def _truncation(text: str, share: float, _rng: np.random.Generator) -> str:
    return text[: max(1, round(share * len(text)))]


def _obfuscation(text: str, share: float, rng: np.random.Generator) -> str:
    return _doubles(text, DIGITS, share, rng)


def _homoglyphs(text: str, share: float, rng: np.random.Generator) -> str:
    return _doubles(text, CYRILLIC, share, rng)


def _doubles(text: str, double: dict[str, str], share: float, rng: np.random.Generator) -> str:
    written = rng.random(len(text)) < share
    return "".join(double.get(letter, letter) if other else letter for letter, other in zip(text, written, strict=True))


def _imbalance(examples: pa.Table, share: float, rng: np.random.Generator) -> pa.Table:
    """Redraw rows so that the rarest class arrives more often: a wave of spam; a row may then arrive repeatedly."""
    if LABEL not in examples.column_names or examples.column(LABEL).null_count:
        raise DataError("traffic.scenario imbalance needs a label for every example; choose another scenario")
    rows = imbalanced_rows(examples.column(LABEL).to_pylist(), share, rng, rarest=True)
    return examples.take(pa.array(rows))


CORRUPTIONS: dict[str, tuple[Callable[[str, float, np.random.Generator], str], tuple[float, ...]]] = {
    "typos": (_typos, TYPOS),
    "shouting": (_shouting, SHOUTING),
    "truncation": (_truncation, TRUNCATION),
    "obfuscation": (_obfuscation, OBFUSCATION),
    "homoglyphs": (_homoglyphs, HOMOGLYPHS),
}
