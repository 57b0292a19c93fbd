"""A window in words, the same wherever one is named."""

from typing import Any


def rows_in_words(window: dict[str, Any]) -> str:
    """Of what the window consists: production examples, shifted or not, or answers out of the log."""
    if "start" in window:
        return f"{window['rows']:,} answers from {bounds_in_words(window['start'], window['end'])} UTC"
    shifted = "" if window["scenario"] == "none" else f" shifted by {window['scenario']} {window['severity']}"
    return f"{window['rows']:,} production examples{shifted}"


def bounds_in_words(start: str, end: str) -> str:
    """Two ISO times to the second, the day once where it is the same."""
    first, last = (text[:19].replace("T", " ") for text in (start, end))
    return f"{first} to {last[11:] if first[:10] == last[:10] else last}"


def left_out_in_words(window: dict[str, Any]) -> str:
    """Which rows of the log the window leaves out, as other versions answered them; empty where there are none."""
    left_out = window.get("left_out", {})
    parts = [f"{rows:,} of version {version}" for version, rows in left_out.items()]
    return f"{' and '.join(parts)} left out: one version is judged at a time" if parts else ""
