"""What is said about runs side by side, cell by cell, for the terminal and for the page."""

from closedloop.comparing.comparison import ABSENT, Gain, SideBySide
from closedloop.evaluation.comparison import proven
from closedloop.registry.records import SHOWN, Record


def who(record: Record) -> list[str]:
    """A run by id, name, time of its start (UTC) and registered version."""
    version = f"version {record.version}" if record.version is not None else "not registered"
    return [record.id[:SHOWN], record.name, f"{record.started} UTC", version]


def score_title(found: SideBySide) -> str:
    """The heading over the scores, with what their intervals cover."""
    levels = {side.record.evaluation["confidence"] for side in found.sides if side.record.evaluation}
    said = " and ".join(f"{level:.0%}" for level in sorted(levels))
    return f"Test split, {said} intervals" if levels else "Test split: no run has been evaluated"


def score(interval: dict[str, float] | None) -> tuple[str, str]:
    """A figure and its interval; a gap for a run without it."""
    if interval is None:
        return ABSENT, ""
    return f"{interval['value']:.4f}", f"{interval['low']:.4f} to {interval['high']:.4f}"


def number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.4f}"


def gain_title(found: SideBySide) -> str:
    """The heading over the gains, with what their intervals cover."""
    together = " that hold together, metric by metric" if len(found.gains) > 1 else ""
    return f"Gain over A on the same test examples, {found.confidence:.0%} intervals{together}"


def gain_cells(gain: Gain) -> list[list[str]]:
    """Metric, gain, interval and verdict of each comparison."""
    return [
        [
            figure.metric,
            f"{figure.gain:+.4f}",
            f"{figure.low:+.4f} to {figure.high:+.4f}",
            proven(figure.low, figure.high),
        ]
        for figure in gain.figures
    ]
