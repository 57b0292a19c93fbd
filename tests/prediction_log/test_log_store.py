import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logged import answer, put
from sqlalchemy import inspect, text

from closedloop.config import Params
from closedloop.errors import LogError
from closedloop.prediction_log import store
from closedloop.prediction_log.schema import METADATA
from closedloop.prediction_log.store import in_turns, log_uri, open_log, writing

OPENING = """
import sys
from pathlib import Path
from closedloop.config import load
from closedloop.prediction_log.store import open_log
params = load(Path("params.yaml"))
print("ready", flush=True)
sys.stdin.read(1)
open_log(params)
"""


@pytest.fixture
def digits_params(make_project: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.delenv("CLOSEDLOOP_LOG_URI", raising=False)
    project = make_project("digits")
    monkeypatch.setenv("DVC_ROOT", str(project.root))
    configured: Params = project.params
    return configured


def test_a_relative_file_lies_in_the_projects_root(digits_params: Params, tmp_path: Path) -> None:
    assert log_uri(digits_params) == f"sqlite:///{tmp_path}/project/predictions.db"


def test_the_environment_comes_first(digits_params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSEDLOOP_LOG_URI", "postgresql://me:secret@host:1234/name")
    assert log_uri(digits_params) == "postgresql+psycopg://me:secret@host:1234/name"


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("mysql://host/name", "cannot be kept in mysql; write sqlite:///FILE or postgresql://"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("me:secret@nonsense", "cannot be read"),
    ],
)
def test_other_addresses_are_refused(
    digits_params: Params, monkeypatch: pytest.MonkeyPatch, uri: str, match: str
) -> None:
    monkeypatch.setenv("CLOSEDLOOP_LOG_URI", uri)
    with pytest.raises(LogError, match=match) as raised:
        open_log(digits_params)
    assert "secret" not in str(raised.value)


def test_opening_makes_the_tables_and_again_keeps_them(params: Params) -> None:
    log = open_log(params)
    assert set(inspect(log).get_table_names()) == set(METADATA.tables)
    put(log, [answer()])
    again = open_log(params)
    with again.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM predictions")).scalar() == 1
    log.dispose()
    again.dispose()


def test_several_processes_open_a_fresh_log_at_once(params: Params, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENING]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, cwd=tmp_path / "project", **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"x")
        process.stdin.flush()
    for process in processes:
        _, error = process.communicate(timeout=60)
        assert (process.returncode, error) == (0, b"")
    log = open_log(params)
    put(log, [answer()])
    log.dispose()


def test_a_read_and_a_write_in_one_transaction_wait_for_other_writers(params: Params) -> None:
    """A deferred transaction of SQLite would fail at its write, as another has written since it read."""
    log = open_log(params)
    with writing(log) as connection:
        assert connection.execute(text("SELECT count(*) FROM labels")).scalar() == 0
        with log.connect() as reader:  # readers are let in meanwhile
            assert reader.execute(text("SELECT count(*) FROM labels")).scalar() == 0
        connection.execute(text("INSERT INTO labels VALUES ('a', 'digits', '3', 0, 0, NULL)"))
    put(log, [answer()])
    log.dispose()


def test_turns_cover_everything_once(params: Params) -> None:
    log = open_log(params)
    assert [list(part) for part in in_turns(log, range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_turns(log, [], 3)) == []
    log.dispose()


class TestSQLite:
    @pytest.fixture
    def file(self, params: Params, log_address: str) -> Path:
        open_log(params).dispose()
        return Path(log_address.removeprefix("sqlite:///"))

    @pytest.fixture
    def log_address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/place/predictions.db"

    def test_locked(self, params: Params, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store, "BUSY_SECONDS", 0.1)
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match=r"predictions\.db failed \(database is locked\): .*close what has it open"):
            open_log(params)
        other.close()

    def test_damaged(self, params: Params, file: Path) -> None:
        file.write_bytes(b"no database" * 1000)
        with pytest.raises(LogError, match=r"file is not a database\): the file is damaged: move it"):
            open_log(params)

    def test_damaged_within(self, params: Params, file: Path) -> None:
        log = open_log(params)
        put(log, [answer(request=b"x" * 3000) for _ in range(100)])
        log.dispose()
        with sqlite3.connect(file) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        content = bytearray(file.read_bytes())
        content[4096 : 4096 * 40] = os.urandom(4096 * 39)
        file.write_bytes(content)
        with pytest.raises(LogError, match="the file is damaged: move it"):
            put(open_log(params), [answer()])

    def test_a_folder_in_its_place(self, params: Params, file: Path) -> None:
        for leftover in file.parent.glob("predictions.db*"):
            leftover.unlink()
        file.mkdir()
        with pytest.raises(LogError, match="the file cannot be opened"):
            open_log(params)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_read_only(self, params: Params, file: Path) -> None:
        file.chmod(0o444)
        file.parent.chmod(0o555)
        try:
            with pytest.raises(LogError, match="make the file and its folder writable"):
                open_log(params)
        finally:
            file.parent.chmod(0o755)

    def test_a_file_where_its_folder_should_be(self, params: Params, file: Path) -> None:
        for leftover in file.parent.iterdir():
            leftover.unlink()
        file.parent.rmdir()
        file.parent.write_text("in the way")
        with pytest.raises(LogError, match=r"predictions\.db failed"):
            open_log(params)


class TestPostgres:
    def test_unreachable(self, digits_params: Params, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("CLOSEDLOOP_LOG_URI", f"postgresql://me:secret@/name?host={tmp_path}")
        with pytest.raises(LogError, match="check that the address is right and the server is up") as raised:
            open_log(digits_params)
        assert "secret" not in str(raised.value)

    def test_unknown_database(self, digits_params: Params, monkeypatch: pytest.MonkeyPatch, postgres: Path) -> None:
        monkeypatch.setenv("CLOSEDLOOP_LOG_URI", f"postgresql://postgres@/nowhere?host={postgres}")
        with pytest.raises(LogError, match='database "nowhere" does not exist'):
            open_log(digits_params)
