"""What of a request goes into the log: all of it, part of it under a pseudonym, or how it looked."""

import os
from typing import Any

import orjson

from closedloop.config import Params
from closedloop.errors import ConfigError
from closedloop.prediction_log.pseudonyms import pseudonym
from closedloop.tasks import get_task
from closedloop.tasks.base import Preprocessor

KEY = "CLOSEDLOOP_PSEUDONYM_KEY"
SHORTEST = 16  # characters of the key: a short one can be guessed, and with it what was replaced


class Recording:
    """Applies log.inputs and log.pseudonymised."""

    def __init__(self, params: Params) -> None:
        """Raises ConfigError when fields are to be pseudonymised without a key to do it with."""
        self._task, self.keeps = params.task.kind, params.log.inputs == "keep"
        self._fields, self._key = params.log.pseudonymised, os.environ.get(KEY, "").encode()
        if self._fields and len(self._key) < SHORTEST:
            raise ConfigError(
                f"log.pseudonymised names {', '.join(self._fields)}, and {KEY} is not set to at least {SHORTEST} "
                "characters"
            )

    @property
    def describes(self) -> bool:
        """Whether descriptors are made when a request is answered: later its content is not there to make them from."""
        return not self.keeps or bool(self._fields)

    def check(self, preprocessor: Preprocessor) -> None:
        """Raise ConfigError for a field that no request has: it would be logged in the clear, under its right name."""
        known = preprocessor.request_schema()["properties"]
        unknown = [field for field in self._fields if field not in known]
        if unknown:
            raise ConfigError(
                f"log.pseudonymised: {', '.join(unknown)} is no field of a request; allowed: {', '.join(known)}"
            )

    def kept(self, record: dict[str, Any]) -> bytes | None:
        """One example as it is kept."""
        if not self.keeps:
            return None
        if self._fields:
            present = [field for field in self._fields if field in record]
            record = {**record, **{field: pseudonym(self._key, record[field]) for field in present}}
        return orjson.dumps(record)

    def descriptors(self, preprocessor: Preprocessor, records: list[dict[str, Any]]) -> list[str] | None:
        """A JSON object for each example, see `describes`; None where it can be made up later."""
        if not self.describes:
            return None
        described = get_task(self._task).describe(preprocessor.decode(records))
        return [orjson.dumps(row).decode() for row in described.to_dict(orient="records")]
