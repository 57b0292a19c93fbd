"""Projects to search in."""

from pathlib import Path

import pytest
from searching import Searched, prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    prepare(root)
    return root


@pytest.fixture
def project(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searched:
    """The current folder: a prepared project with an empty registry."""
    return Searched.enter(prepared, tmp_path, monkeypatch)
