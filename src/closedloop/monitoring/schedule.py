"""Which window of the log is to be checked next."""

from collections.abc import Sequence

from sqlalchemy import Engine

from closedloop.config import Params
from closedloop.errors import ConfigError
from closedloop.prediction_log.clock import now, to_micros, to_text
from closedloop.prediction_log.reading import SETTLED, next_bounds

BOUNDS = ("traffic.start", "traffic.end")


def next_window(params: Params, engine: Engine) -> list[str] | str:
    """The next window's bounds as overrides of the configuration, or why there is none yet. Raises LogError."""
    found = next_bounds(engine, params.task.name, params.traffic, now())
    if isinstance(found, str):
        return found
    start, end = found
    return [f"traffic.start={to_text(start)}", f"traffic.end={to_text(end)}"]


def refuse_future(params: Params) -> None:
    """Raise ConfigError for a window that is not over: what is answered in it later would never be checked."""
    latest = to_text(now() - SETTLED)
    if params.traffic.end and to_micros(params.traffic.end) > to_micros(latest):
        raise ConfigError(
            f"traffic.end {params.traffic.end} is not over: at this moment a window may end at {latest} at the latest"
        )


def has_bounds(overrides: Sequence[str]) -> bool:
    """Whether overrides name a window themselves: then that one is checked, again or for the first time."""
    return without_bounds(overrides) != list(overrides)


def without_bounds(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if override.partition("=")[0] not in BOUNDS]
