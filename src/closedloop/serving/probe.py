"""Whether the prediction log can be written, asked often and answered in time."""

import asyncio
import time

from sqlalchemy import Engine

from closedloop.errors import LogError
from closedloop.prediction_log.store import translated, writing
from closedloop.serving.threads import Threads

FRESH_SECONDS = 0.5  # that an answer counts for all who ask: a probe takes the log's write lock
PATIENCE_SECONDS = 2.0  # a database that hangs says nothing at all


class LogProbe:
    """Begins a write of nothing, one at a time however many ask."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._threads = engine, Threads("probe", 1)
        self._asked: asyncio.Future[str] | None = None
        self._at = 0.0  # when, on the monotonic clock

    async def problem(self) -> str:
        """Why nothing can be written now; empty when something can."""
        asked = self._asked
        if asked is None or (asked.done() and time.monotonic() - self._at > FRESH_SECONDS):
            asked = self._asked = asyncio.ensure_future(self._threads.run(self._write_nothing))
            self._at = time.monotonic()
        await asyncio.wait([asked], timeout=PATIENCE_SECONDS)
        if not asked.done():
            return f"the prediction log {self._shown} has not answered for {time.monotonic() - self._at:.0f} s"
        return asked.result()

    @property
    def _shown(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)

    def _write_nothing(self) -> str:
        try:
            with translated(self._shown), writing(self._engine):
                pass
        except LogError as error:
            return str(error)
        return ""
