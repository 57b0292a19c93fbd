"""Questions to an MLflow server over its REST API, without importing MLflow.

Of the ways to log in that MLflow's client knows, these are taken: user and password or a token, from the environment,
the address or its credentials file; certificates of either side; TLS without a check. Plugins for others are not.
"""

import base64
import configparser
import functools
import json
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from closedloop.errors import StoreUnanswered
from closedloop.sources.transport import public

SECONDS = 5  # that a store may take to answer
PAUSES = (0.5, 1.0)  # seconds before the next try
PASSING = (429, 500, 502, 503, 504)  # statuses that may be gone the next time
NONE_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's two words for an alias that is not set


def is_http(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def ask(uri: str, question: str, **values: Any) -> Any:
    """MLflow's answer, or None where what is asked for does not exist.

    Raises StoreUnanswered when there is none after three tries.
    """
    parts = urllib.parse.urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    path = f"{parts.path.rstrip('/')}/api/2.0/mlflow/{question}"
    url = urllib.parse.urlunsplit((parts.scheme, host, path, urllib.parse.urlencode(values), ""))
    for pause in (*PAUSES, None):
        try:
            return _answer(url, _credentials(parts), _tls(parts.scheme))
        except urllib.error.HTTPError as error:
            if _error_code(error) in NONE_SUCH:
                return None
            if pause is None or error.code not in PASSING:
                raise unanswered(uri, f"status {error.code}") from error
        except (OSError, ValueError) as error:  # refused, timed out, not JSON
            if pause is None:
                raise unanswered(uri, str(error)) from error
        time.sleep(pause)
    raise AssertionError  # the last try has returned or raised


def unanswered(uri: str, reason: str) -> StoreUnanswered:
    first = (reason.splitlines() or ["no reason given"])[0]
    return StoreUnanswered(f"the MLflow store {public(uri)} does not answer ({first}); check that it is there and up")


def _answer(url: str, headers: dict[str, str], tls: ssl.SSLContext | None) -> Any:
    request = urllib.request.Request(url)  # noqa: S310  only addresses of http or https come here: is_http
    for name, value in headers.items():
        request.add_unredirected_header(name, value)  # not meant for whoever it may be redirected to
    with urllib.request.urlopen(request, timeout=SECONDS, context=tls) as answer:  # noqa: S310  as above
        return json.loads(answer.read())


@functools.cache  # reading the certificates takes longer than asking
def _tls(scheme: str) -> ssl.SSLContext | None:
    if scheme == "http":
        return None
    context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if own := os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
        context.load_cert_chain(own)
    return context


def _credentials(parts: urllib.parse.SplitResult) -> dict[str, str]:
    """As MLflow's client takes them: user and password, or a token."""
    kept = _kept()
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or urllib.parse.unquote(parts.username or "") or kept[0]
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or urllib.parse.unquote(parts.password or "") or kept[1]
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if user:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _kept() -> tuple[str, str]:
    """User and password of ~/.mlflow/credentials."""
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read(Path.home() / ".mlflow" / "credentials", encoding="utf-8")
    except (configparser.Error, OSError, RuntimeError):
        return "", ""
    user, password = (file.get("mlflow", f"mlflow_tracking_{what}", fallback="") for what in ("username", "password"))
    return user, password


def _error_code(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error_code"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
