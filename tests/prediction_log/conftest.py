"""The prediction log in each of its databases."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from closedloop.config import Params
from closedloop.prediction_log.store import open_log


@pytest.fixture(params=["sqlite", "postgres"])
def log_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a log that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/predictions.db"
    uri: str = request.getfixturevalue("postgres_uri")
    return uri


@pytest.fixture
def params(make_project: Callable[..., Any], log_address: str, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The configuration of digits, with the log under test."""
    monkeypatch.setenv("CLOSEDLOOP_LOG_URI", log_address)
    configured: Params = make_project("digits").params
    return configured


@pytest.fixture
def log(params: Params) -> Iterator[Engine]:
    """An empty log."""
    engine = open_log(params)
    yield engine
    engine.dispose()
