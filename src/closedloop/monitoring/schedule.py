"""Which window of the log is to be checked next."""

from collections.abc import Sequence

from sqlalchemy import Engine

from closedloop.config import Params
from closedloop.prediction_log.clock import now, to_text
from closedloop.prediction_log.reading import next_bounds

BOUNDS = ("traffic.start", "traffic.end")


def next_window(params: Params, engine: Engine) -> list[str] | str:
    """The next window's bounds as overrides of the configuration, or why there is none yet. Raises LogError."""
    found = next_bounds(engine, params.task.name, params.traffic, now())
    if isinstance(found, str):
        return found
    start, end = found
    return [f"traffic.start={to_text(start)}", f"traffic.end={to_text(end)}"]


def has_bounds(overrides: Sequence[str]) -> bool:
    """Whether overrides name a window themselves: then that one is checked, again or for the first time."""
    return without_bounds(overrides) != list(overrides)


def without_bounds(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if override.partition("=")[0] not in BOUNDS]
