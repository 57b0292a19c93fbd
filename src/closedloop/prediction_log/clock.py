"""Times as the log keeps them: whole microseconds since 1970 in UTC."""

import time
from datetime import UTC, datetime, timedelta

from closedloop.errors import ConfigError

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def to_micros(text: str) -> int:
    """ISO 8601 in UTC, with up to six decimals of a second and a Z at the end -> microseconds since 1970.

    Raises ConfigError when the text is no such time.
    """
    try:
        moment = datetime.fromisoformat(text)
        if not text.endswith("Z"):
            raise ValueError("it must be in UTC and end with Z")
    except ValueError as error:
        raise ConfigError(f"{text!r} is no time ({error}); write it as 2026-11-23T10:00:00Z") from None
    return (moment - EPOCH) // timedelta(microseconds=1)


def to_text(micros: int) -> str:
    """Microseconds since 1970 -> ISO 8601 in UTC, always with six decimals: the texts sort as the times do."""
    return (EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds").replace("+00:00", "Z")
