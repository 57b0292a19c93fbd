"""Runs side by side, as data: the keys in which they differ, their scores, and paired gains over the first of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from closedloop.errors import ClosedLoopError, ConfigError
from closedloop.evaluation.answers import metrics_of
from closedloop.evaluation.comparison import Comparison, compare
from closedloop.registry.records import Record

ABSENT = "–"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Side:
    """One run of several, under a letter."""

    letter: str
    record: Record


@dataclass(frozen=True)
class Gain:
    """What a run gains over the first one on the same test examples, or why nobody can tell."""

    letter: str
    figures: tuple[Comparison, ...]
    missing: str = ""


@dataclass(frozen=True)
class SideBySide:
    """All that is said about some runs."""

    sides: list[Side]
    differing: dict[str, list[str]]  # by key: the value of each run
    scores: dict[str, list[dict[str, float] | None]]  # by metric of the test split: value, low and high of each run
    validation: dict[str, list[float | None]]
    gains: list[Gain]
    confidence: float  # of the scores' intervals, and of all intervals of gains together


def side_by_side(records: Sequence[Record], confidence: float) -> SideBySide:
    """Compare runs; the intervals of the gains hold together at `confidence` (Bonferroni).

    Raises ConfigError for fewer than two runs, or more than there are letters.
    """
    if not 2 <= len(records) <= len(LETTERS):
        raise ConfigError(
            f'two to {len(LETTERS)} runs can be compared, and not {len(records)}: name them with RUNS="id id", or make '
            "another with `make run` and other ARGS"
        )
    sides = [Side(letter, record) for letter, record in zip(LETTERS, records, strict=False)]
    each = 1 - (1 - confidence) / (len(sides) - 1)
    return SideBySide(
        sides,
        _differing([record.config for record in records]),
        _rows([_metrics(record) for record in records]),
        _rows([record.validation for record in records]),
        [_gain(sides[0].record, side, each) for side in sides[1:]],
        confidence,
    )


def _differing(configs: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    rows = {key: [config.get(key, ABSENT) for config in configs] for config in configs for key in config}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}


def _metrics(record: Record) -> dict[str, Any]:
    return record.evaluation["metrics"] if record.evaluation else {}


def _rows(columns: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [column.get(name) for column in columns] for column in columns for name in column}


def _gain(base: Record, side: Side, confidence: float) -> Gain:
    for letter, record in ((LETTERS[0], base), (side.letter, side.record)):
        if record.predictions is None:
            return Gain(side.letter, (), f"{letter} has kept no predictions of the test split")
    if base.test_split != side.record.test_split:
        return Gain(side.letter, (), "their test splits differ")
    judges = [record.evaluation.get("judge") if record.evaluation else None for record in (base, side.record)]
    if judges[0] != judges[1]:
        return Gain(side.letter, (), "they were judged by different classifiers")
    assert base.predictions is not None and side.record.predictions is not None  # noqa: S101  seen above
    try:
        return Gain(
            side.letter,
            tuple(
                compare(side.record.predictions, base.predictions, metric, confidence)
                for metric in metrics_of(base.predictions)
            ),
        )
    except ClosedLoopError as error:
        return Gain(side.letter, (), str(error))
