"""A user who begins, and a place where data are kept."""

import shutil
from pathlib import Path

import pytest
from own_data import ROOT, User, Written


@pytest.fixture
def user(tmp_path: Path) -> User:
    shutil.copytree(ROOT / "conf", tmp_path / "user" / "conf")
    return User(tmp_path / "user")


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """written(name, content) puts a file where the user keeps data."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / "kept" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
