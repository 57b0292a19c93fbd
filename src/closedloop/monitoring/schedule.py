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


def require_settled(params: Params) -> None:
    """Raises ConfigError for a window that is not over: what is answered later would never be checked."""
    end, settled = params.traffic.end, now() - SETTLED
    if end is not None and to_micros(end) > settled:
        raise ConfigError(
            f"traffic.end: {end} must not lie after {to_text(settled)}, as younger predictions may still be on their "
            f"way into the log; give an earlier end, or wait"
        )


def has_bounds(overrides: Sequence[str]) -> bool:
    """Whether overrides name a window themselves: then that one is checked, again or for the first time."""
    return without_bounds(overrides) != list(overrides)


def without_bounds(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if override.partition("=")[0] not in BOUNDS]
