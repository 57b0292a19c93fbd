"""The windows of one task as a drawing: verdicts, quality, versions and attempts to retrain, the latest on the right.

Windows are spaced evenly, whatever time lies between them: hours without traffic say nothing. Colours come from the
page's style sheet by class, so that the drawing follows the reader's light or dark scheme.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from closedloop.monitoring.quality import ACCURACY, Shown, in_words, shown
from closedloop.prediction_log.attempts import Attempt
from closedloop.prediction_log.checks import Check

SYMBOLS = {"clean": "✓", "drift": "!", "too_few_rows": "?"}
MARKS = {"promoted": "▲", "refused": "▽", "failed": "✕", "interrupted": "✕", "running": "…", "unchanged": "▽"}
LEFT, RIGHT, TOP, PLOT, FOOT = 8.0, 44.0, 34.0, 150.0, 84.0  # px: margins, and the height of the axis
SLOT = (24.0, 56.0)  # px a window: at least, at most
WIDTH = 1000.0  # px that a page on a desk has room for
LINES = 6  # of the axis at most
STEP = 150.0  # px between two labels of time


@dataclass(frozen=True)
class Axis:
    """The axis of accuracy, or of the error."""

    low: float
    high: float
    ticks: list[float]

    def y(self, value: float) -> float:
        return TOP + PLOT * (1 - (min(value, self.high) - self.low) / (self.high - self.low))


def draw(checks: Sequence[Check], attempts: Sequence[Attempt], when: Any) -> str:
    """SVG of the windows, oldest first; `when(micros)` puts a time into a few characters.

    Each window's mark links to the row of the table with the id that `anchor` gives.
    """
    slot = min(max((WIDTH - LEFT - RIGHT) / len(checks), SLOT[0]), SLOT[1])
    width, height = LEFT + slot * len(checks) + RIGHT, TOP + PLOT + FOOT
    places = [LEFT + slot * (number + 0.5) for number in range(len(checks))]
    found = [shown(check.report) for check in checks]
    known = [one for one in found if one]
    axis, metric = _axis_of(known), known[0].metric if known else ACCURACY
    parts = [
        *_versions(checks, slot),
        *_axis(axis, metric, width),
        *_attempts(checks, attempts, slot),
        *(_quality(one, x, axis) for one, x in zip(found, places, strict=True)),
        *(_verdict(check, x, slot) for check, x in zip(checks, places, strict=True)),
        *_times(checks, places, slot, when),
    ]
    return (
        f'<svg role="img" aria-label="verdict and {in_words(metric)} of {len(checks)} windows" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">{"".join(parts)}</svg>'
    )


def anchor(check: Check) -> str:
    return f"w{check.start}-{check.end}-{check.version}"


def _axis_of(found: Sequence[Shown]) -> Axis:
    """Of accuracy it begins a tenth below the lowest interval, at most at 0.8; of an error it goes from 0 up."""
    if any(one.metric != ACCURACY for one in found):
        reached = [one.figure[key] for one in found for key in ("high", "value", "reference")]
        most = max((value for value in reached if math.isfinite(value)), default=1.0) or 1.0
        step = 10.0 ** math.floor(math.log10(most))
        step *= next(part for part in (0.2, 0.5, 1, 2) if most / (step * part) <= LINES)
        count = math.ceil(most / step)
        return Axis(0.0, count * step, [number * step for number in range(count + 1)])
    lowest = min((min(one.figure["low"], one.figure["reference"]) for one in found), default=0.8)
    floor = max(0.0, min(0.8, math.floor(lowest * 10) / 10))
    tenths = range(round(floor * 10), 11)
    return Axis(floor, 1.0, [tenth / 10 for tenth in tenths if len(tenths) <= LINES or (10 - tenth) % 2 == 0])


def _axis(axis: Axis, metric: str, width: float) -> list[str]:
    form = ".0%" if metric == ACCURACY else "g"
    return [
        f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="faint" x="{width - RIGHT + 6:.1f}" y="{y + 4:.1f}">{value:{form}}</text>'
        for value, y in ((value, axis.y(value)) for value in axis.ticks)
    ]


def _versions(checks: Sequence[Check], slot: float) -> list[str]:
    """A band over the windows that one version answered, and a line where another takes over."""
    parts, x = [], LEFT
    for number, (version, of) in enumerate(groupby(check.version for check in checks)):
        wide = slot * len(list(of))
        name = f"version {version}" if wide >= 70 else f"v{version}"
        parts.append(
            f'<rect class="band{number % 2}" x="{x + 1:.1f}" y="2" width="{wide - 2:.1f}" height="20" rx="3"/>'
            f'<text x="{x + wide / 2:.1f}" y="16" text-anchor="middle">{name if wide >= 24 else ""}</text>'
        )
        if number:
            parts.append(f'<line class="change" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{TOP + PLOT:.1f}"/>')
        x += wide
    return parts


def _quality(found: Shown | None, x: float, axis: Axis) -> str:
    if found is None:
        return ""
    low, high, y, before = (axis.y(found.figure[key]) for key in ("low", "high", "value", "reference"))
    kind = "estimate" if found.estimated else "measured"
    note = f"{kind} {found.number('value')} [{found.number('low')}, {found.number('high')}]"
    return (
        f'<g class="{kind}"><title>{note}; reference {found.number("reference")}</title>'
        f'<line class="reference" x1="{x - 8:.1f}" x2="{x + 8:.1f}" y1="{before:.1f}" y2="{before:.1f}"/>'
        f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{high:.1f}" y2="{low:.1f}"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/></g>'
    )


def _verdict(check: Check, x: float, slot: float) -> str:
    side, y = min(slot - 4, 24.0), TOP + PLOT + 12
    why = html.escape("; ".join(check.report["reasons"]) or "nothing has moved")
    return (
        f'<a href="#{anchor(check)}"><title>{check.verdict.replace("_", " ")}: {why}</title>'
        f'<rect class="{check.verdict}" x="{x - side / 2:.1f}" y="{y:.1f}" width="{side:.1f}" height="24" rx="4"/>'
        f'<text class="symbol" x="{x:.1f}" y="{y + 17:.1f}" text-anchor="middle">{SYMBOLS[check.verdict]}</text></a>'
    )


def _attempts(checks: Sequence[Check], attempts: Sequence[Attempt], slot: float) -> list[str]:
    """A mark between the windows between which an attempt began; several there stand side by side."""
    parts, taken = [], dict[int, int]()
    for attempt in attempts:
        before = sum(check.end <= attempt.started for check in checks)
        if not before:  # begun before the first window shown
            continue
        x = LEFT + slot * before + 8 * taken.get(before, 0)
        taken[before] = taken.get(before, 0) + 1
        mark, why = MARKS.get(attempt.outcome, "•"), "; ".join(attempt.reasons)
        parts.append(
            f'<g class="attempt"><title>{html.escape(f"retraining: {attempt.outcome} ({why})")}</title>'
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6:.1f}" y2="{TOP + PLOT + 42:.1f}"/>'
            f'<text x="{x:.1f}" y="{TOP + PLOT + 56:.1f}" text-anchor="middle">{mark}</text></g>'
        )
    return parts


def _times(checks: Sequence[Check], places: Sequence[float], slot: float, when: Any) -> list[str]:
    every = max(1, math.ceil(STEP / slot))
    latest_first = range(len(checks) - 1, -1, -every)
    return [
        f'<text class="faint" x="{places[number]:.1f}" y="{TOP + PLOT + FOOT - 6:.1f}" '
        f'text-anchor="{"end" if number == len(checks) - 1 and number else "middle" if number else "start"}">'
        f"{when(checks[number].end)}</text>"
        for number in latest_first
    ]
