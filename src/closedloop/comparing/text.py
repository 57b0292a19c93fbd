"""Runs side by side on the terminal."""

from collections.abc import Sequence

from closedloop.comparing.comparison import SideBySide
from closedloop.comparing.wording import gain_cells, gain_title, number, score, score_title, who
from closedloop.evaluation.figures import short

WIDEST = 24  # characters of a value


def text(found: SideBySide) -> str:
    """The runs, what differs between them, their scores and the gains over the first."""
    letters = [side.letter for side in found.sides]
    blocks = [_aligned([[side.letter, *who(side.record)] for side in found.sides])]
    rows = [[key, *(short(value, WIDEST) for value in values)] for key, values in found.differing.items()]
    blocks.append(_aligned([["What differs", *letters], *rows]) if rows else ["Nothing that was recorded differs"])
    if found.validation:
        rows = [[name, *map(number, values)] for name, values in found.validation.items()]
        blocks.append(_aligned([["Validation split", *letters], *rows]))
    blocks.append([score_title(found), *_scores(found)])
    blocks.append([gain_title(found), *_gains(found)])
    return "\n" + "\n\n".join("\n".join(f"  {line}" for line in block) for block in blocks) + "\n"


def _scores(found: SideBySide) -> list[str]:
    rows = [
        [name if place == 0 else "", side.letter, *score(interval)]
        for name, intervals in found.scores.items()
        for place, (side, interval) in enumerate(zip(found.sides, intervals, strict=True))
    ]
    return _aligned(rows)


def _gains(found: SideBySide) -> list[str]:
    rows = [
        [gain.letter if place == 0 else "", *cells]
        for gain in found.gains
        for place, cells in enumerate(gain_cells(gain))
    ]
    missing = [f"{gain.letter}  not compared: {gain.missing}" for gain in found.gains if gain.missing]
    return [*_aligned(rows), *missing]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
