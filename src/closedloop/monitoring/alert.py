"""Tells a webhook that a window has drifted; docs/alerts.md describes the body.

The address may hold a secret (most chat services put one into the path), so that it is never printed nor stored, and no
message of a library that could quote it is passed on.
"""

import http.client
import json
import os
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from closedloop.monitoring.quality import ESTIMATED, METRICS

WEBHOOK = "CLOSEDLOOP_WEBHOOK"
SCHEMA = "closedloop.alert/1"  # raised with a change that an existing receiver would not survive
TIMEOUT = 10.0  # seconds for one attempt
PAUSES = (1.0, 4.0, 16.0)  # seconds between attempts
NOT_NOW = frozenset({429, *range(500, 600)})  # statuses after which another attempt may succeed
LATE = "no answer in time"
DELIVERED = "delivered"  # how the fate of an alert begins that has arrived


def body(report: dict[str, Any], task: str, pages: dict[str, str], now: str) -> dict[str, Any]:
    """The JSON body for a report of a window of the log; `pages` by name, `now` as ISO time in UTC.

    The id is the window's: whoever gets the same one twice, as an answer was lost on its way, can tell.
    """
    window = report["window"]
    return {
        "schema": SCHEMA,
        "id": f"{task}/{window['version']}/{window['start']}/{window['end']}",
        "time": now,
        "task": task,
        "version": window["version"],
        "verdict": report["verdict"],
        "window": {key: window[key] for key in ("start", "end", "rows")},
        "reasons": report["reasons"],
        "columns": [column["name"] for column in report["columns"] if column["drifted"]],
        **{
            prefix + metric: _interval(report[prefix + metric])
            for prefix in ("", ESTIMATED)
            for metric in METRICS
            if prefix + metric in report
        },
        "pages": pages,
    }


def _interval(figure: dict[str, Any] | None) -> dict[str, float] | None:
    return {key: figure[key] for key in ("value", "low", "high", "reference")} if figure else None


def send(
    content: dict[str, Any],
    address: str | None = None,
    pauses: Sequence[float] = PAUSES,
    timeout: float = TIMEOUT,
    sleep: Callable[[float], object] = time.sleep,
) -> str:
    """POST the body to the webhook (default: CLOSEDLOOP_WEBHOOK), again after each pause while it may yet succeed.

    Returns what became of it, in words without the address; never raises: a check is worth as much when nobody could
    be told of it.
    """
    address = os.environ.get(WEBHOOK, "") if address is None else address
    if not address:
        return f"not sent: {WEBHOOK} is not set"
    wrong = _wrong(address)
    if wrong:
        return f"not sent: {WEBHOOK} {wrong}"
    attempts = 0
    for pause in (*pauses, None):
        attempts += 1
        status, found = _within(timeout, lambda: _post(address, json.dumps(content).encode(), timeout))
        if status is not None and 200 <= status < 300:
            return f"{DELIVERED}: {found}" + (f" at attempt {attempts}" if attempts > 1 else "")
        if pause is None or (status is not None and status not in NOT_NOW):
            break
        sleep(pause)
    return f"not delivered: {found}" + (f", {attempts} times" if attempts > 1 else "")


def _wrong(address: str) -> str | None:
    """What is wrong with an address, without quoting it."""
    try:
        parts = urlsplit(address)
        host, user = parts.hostname, parts.username
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return "is not a valid address"
    if parts.scheme not in ("http", "https"):
        return "must begin with http:// or https://"
    if not host or not address.isascii() or any(character <= " " for character in address):
        return "is not a valid address"
    return "must not hold a user name: put the secret into the path" if user is not None else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def _within(seconds: float, attempt: Callable[[], tuple[int | None, str]]) -> tuple[int | None, str]:
    """What an attempt comes to in that time: a socket's own timeout begins anew with every byte that drips in."""
    outcomes: list[tuple[int | None, str]] = []
    thread = threading.Thread(target=lambda: outcomes.append(attempt()), daemon=True)
    thread.start()
    thread.join(seconds)
    return outcomes[0] if outcomes else (None, LATE)


def _post(address: str, content: bytes, timeout: float) -> tuple[int | None, str]:
    """One attempt: the HTTP status, or None where none came, and what to say of it."""
    headers = {"Content-Type": "application/json", "User-Agent": "closedloop"}
    request = urllib.request.Request(address, content, headers, method="POST")  # noqa: S310  _wrong() lets http(s) pass
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout) as response:
            return response.status, f"HTTP {response.status}"
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return None, _unreached(error.reason)
    except OSError as error:
        return None, _unreached(error)
    except http.client.HTTPException:
        return None, "the answer was not HTTP"
    except ValueError:  # a host name that cannot be looked up
        return None, "the address is not valid"


def _unreached(reason: Any) -> str:
    """In the operating system's words, which know no address."""
    if isinstance(reason, TimeoutError):
        return LATE
    if isinstance(reason, ssl.SSLError):
        return f"TLS failed ({reason.reason})"
    return str(getattr(reason, "strerror", None) or "no connection")
