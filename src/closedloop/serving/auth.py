"""API keys: who may ask for predictions and who may send labels."""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from closedloop.errors import ConfigError
from closedloop.serving.refusal import Refusal

PREDICT, FEEDBACK = "CLOSEDLOOP_PREDICT_KEYS", "CLOSEDLOOP_FEEDBACK_KEYS"
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Keys:
    """The SHA-256 digests of the keys that are taken; a kind without any is open to everybody who reaches the server.

    Plain SHA-256 is enough because a key is 32 random bytes, not a password.
    """

    predict: tuple[bytes, ...] = ()
    feedback: tuple[bytes, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Keys":
        """Read comma-separated hex digests; raises ConfigError for anything else, without repeating it."""
        return cls(_digests(environment, PREDICT), _digests(environment, FEEDBACK))

    def check(self, request: Request, kind: str) -> None:
        """Raise Refusal unless the request carries a key of a kind, where keys of that kind are set."""
        wanted, other = (self.predict, self.feedback) if kind == PREDICT else (self.feedback, self.predict)
        if not wanted:
            return
        given = _given(request)
        if given is None:
            raise Refusal(
                401,
                "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        digest = hashlib.sha256(given).hexdigest().encode()
        if _known(digest, wanted):
            return
        if _known(digest, other):
            raise Refusal(403, "this API key is not for this route")
        raise Refusal(401, "the API key is not known", headers={"WWW-Authenticate": "Bearer"})

    def open(self, request: Request, kind: str) -> bool:
        """Whether `check` would let the request pass."""
        try:
            self.check(request, kind)
        except Refusal:
            return False
        return True


def new_key() -> tuple[str, str]:
    """A fresh key and its digest."""
    key = secrets.token_urlsafe(32)
    return key, hashlib.sha256(key.encode()).hexdigest()


def check_host(host: str, keys: Keys) -> None:
    """Raise ConfigError for an address that others can reach while a kind of keys is missing."""
    missing = [name for name, found in ((PREDICT, keys.predict), (FEEDBACK, keys.feedback)) if not found]
    if missing and not is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set: make keys with `closedloop key` and set the digests, "
            "or serve on 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may mean any address
        return False


def _digests(environment: Mapping[str, str], name: str) -> tuple[bytes, ...]:
    entries = [entry.strip().lower() for entry in environment.get(name, "").split(",")]
    for place, entry in enumerate(entries, start=1):
        if entry and not DIGEST.fullmatch(entry):
            raise ConfigError(
                f"{name}: entry {place} is not a SHA-256 digest in hex (64 digits); "
                "`closedloop key` prints a new key and its digest"
            )
    return tuple(entry.encode() for entry in entries if entry)


def _given(request: Request) -> bytes | None:
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, key = header.partition(" ")
        return key.strip().encode() if scheme.lower() == "bearer" else None
    key = request.headers.get("x-api-key", "")
    return key.encode() if key else None


def _known(digest: bytes, digests: tuple[bytes, ...]) -> bool:
    """Compares with all of them, each in constant time."""
    return sum(hmac.compare_digest(digest, known) for known in digests) > 0
