"""The windows of one task as a drawing: verdicts, accuracy, versions and attempts to retrain, the latest on the right.

Windows are spaced evenly, whatever time lies between them: hours without traffic say nothing. Colours come from the
page's style sheet by class, so that the drawing follows the reader's light or dark scheme.
"""

import html
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from closedloop.prediction_log.attempts import Attempt
from closedloop.prediction_log.checks import Check

SYMBOLS = {"clean": "✓", "drift": "!", "too_few_rows": "?"}
MARKS = {"promoted": "▲", "refused": "▽", "failed": "✕", "interrupted": "✕", "running": "…", "unchanged": "▽"}
LEFT, RIGHT, TOP, PLOT, FOOT = 8.0, 44.0, 34.0, 150.0, 84.0  # px: margins, and the height of the accuracy's axis
SLOT = (24.0, 56.0)  # px a window: at least, at most
WIDTH = 1000.0  # px that a page on a desk has room for
STEP = 150.0  # px between two labels of time


def accuracy_of(report: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """Accuracy of a window with its interval, and whether it is only estimated."""
    if report.get("accuracy"):
        return report["accuracy"], False
    return report.get("estimated_accuracy"), True


def draw(checks: Sequence[Check], attempts: Sequence[Attempt], when: Any) -> str:
    """SVG of the windows, oldest first; `when(micros)` puts a time into a few characters.

    Each window's mark links to the row of the table with the id that `anchor` gives.
    """
    slot = min(max((WIDTH - LEFT - RIGHT) / len(checks), SLOT[0]), SLOT[1])
    width, height = LEFT + slot * len(checks) + RIGHT, TOP + PLOT + FOOT
    places = [LEFT + slot * (number + 0.5) for number in range(len(checks))]
    floor = _floor(checks)
    parts = [
        *_versions(checks, slot),
        *_axis(floor, width),
        *_attempts(checks, attempts, slot),
        *(_accuracy(check, x, floor) for check, x in zip(checks, places, strict=True)),
        *(_verdict(check, x, slot) for check, x in zip(checks, places, strict=True)),
        *_times(checks, places, slot, when),
    ]
    return (
        f'<svg role="img" aria-label="verdict and accuracy of {len(checks)} windows" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">{"".join(parts)}</svg>'
    )


def anchor(check: Check) -> str:
    return f"w{check.start}-{check.end}-{check.version}"


def _floor(checks: Sequence[Check]) -> float:
    """Where the axis of accuracy begins: a tenth below the lowest interval, at most at 0.8."""
    known = [accuracy for accuracy, _ in (accuracy_of(check.report) for check in checks) if accuracy]
    lowest = min((min(accuracy["low"], accuracy["reference"]) for accuracy in known), default=0.8)
    return max(0.0, min(0.8, math.floor(lowest * 10) / 10))


def _y(value: float, floor: float) -> float:
    return TOP + PLOT * (1 - value) / (1 - floor)


def _axis(floor: float, width: float) -> list[str]:
    tenths = range(round(floor * 10), 11)
    values = [tenth / 10 for tenth in tenths if len(tenths) <= 6 or (10 - tenth) % 2 == 0]
    return [
        f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="faint" x="{width - RIGHT + 6:.1f}" y="{y + 4:.1f}">{value:.0%}</text>'
        for value, y in ((value, _y(value, floor)) for value in values)
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


def _accuracy(check: Check, x: float, floor: float) -> str:
    accuracy, estimated = accuracy_of(check.report)
    if not accuracy:
        return ""
    low, high, y, before = (_y(accuracy[key], floor) for key in ("low", "high", "value", "reference"))
    kind = "estimate" if estimated else "measured"
    note = f"{kind} {accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
    return (
        f'<g class="{kind}"><title>{note}; reference {accuracy["reference"]:.3f}</title>'
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
