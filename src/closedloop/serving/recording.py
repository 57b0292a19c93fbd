"""What of a request goes into the log: all of it, part of it under a pseudonym, or how it looked."""

import hashlib
import hmac
import os
from typing import Any

import orjson

from closedloop.config import Params
from closedloop.errors import ConfigError
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

    def check(self, preprocessor: Preprocessor) -> None:
        """Raise ConfigError for a field that no request has: it would be logged in the clear, under its right name."""
        known = preprocessor.request_schema()["properties"]
        unknown = [field for field in self._fields if field not in known]
        if unknown:
            raise ConfigError(
                f"log.pseudonymised: {', '.join(unknown)} is no field of a request; allowed: {', '.join(known)}"
            )

    def kept(self, record: dict[str, Any]) -> bytes | None:
        """One example as it is kept; a pseudonym is the same for the same value, and says nothing without the key."""
        if not self.keeps:
            return None
        if self._fields:
            record = {**record, **{field: self._pseudonym(record[field]) for field in self._fields if field in record}}
        return orjson.dumps(record)

    def descriptors(self, preprocessor: Preprocessor, records: list[dict[str, Any]]) -> list[str] | None:
        """A JSON object for each example where examples are not kept; None where it can be made up later."""
        if self.keeps:
            return None
        described = get_task(self._task).describe(preprocessor.decode(records))
        return [orjson.dumps(row).decode() for row in described.to_dict(orient="records")]

    def _pseudonym(self, value: Any) -> str:
        return hmac.new(self._key, orjson.dumps(value, option=orjson.OPT_SORT_KEYS), hashlib.sha256).hexdigest()
