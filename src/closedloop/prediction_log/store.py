"""The connection to the prediction log: one place for its address, its first use and its failures."""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from closedloop.config import Params
from closedloop.errors import LogError
from closedloop.prediction_log.schema import METADATA
from closedloop.registry.store import project_root

Item = TypeVar("Item")

BUSY_SECONDS = 5.0  # how long a writer waits for another one
POSTGRES = {"connect_timeout": 5, "tcp_user_timeout": 10_000}  # s, ms: a host that is gone says nothing
LOCK_SECONDS = 60.0
CHECKPOINT_PAGES = 4000  # of 4 kB: a checkpoint waits for the disk, so that fewer of them cost less
CREATION = 0x636C6F67  # the key of Postgres' advisory lock under which tables are made


def log_uri(params: Params) -> str:
    """CLOSEDLOOP_LOG_URI, or log.uri with a relative SQLite file taken from the project's root.

    Raises LogError when the address is of no kind that the log can be kept in.
    """
    uri = os.environ.get("CLOSEDLOOP_LOG_URI") or params.log.uri
    try:
        url = make_url(uri)
    except ArgumentError:
        raise LogError("the prediction log's address cannot be read; write sqlite:///FILE or postgresql://…") from None
    kind = url.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise LogError(f"the prediction log cannot be kept in {kind}; write sqlite:///FILE or postgresql://…")
    if kind == "postgresql":
        return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    if url.database in (None, "", ":memory:"):
        raise LogError("the prediction log needs a file: several processes share it; write sqlite:///predictions.db")
    return f"sqlite:///{project_root() / str(url.database)}"


def open_log(params: Params) -> Engine:
    """The log's engine, on tables that are made when there are none.

    Raises LogError when the log is locked, damaged, unreachable, read-only, or its disk is full.
    """
    uri = log_uri(params)
    with translated(uri):
        if not uri.startswith("sqlite"):
            engine = create_engine(uri, pool_pre_ping=True, connect_args=POSTGRES)
            with engine.begin() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATION})
                METADATA.create_all(connection)
            return engine
        file = Path(str(make_url(uri).database))
        file.parent.mkdir(parents=True, exist_ok=True)
        # every connection opens the file anew: a pooled one would go on with a file that is no longer there
        engine = create_engine(uri, creator=lambda: _connect(file), poolclass=NullPool)
        event.listen(engine, "begin", _begin)
        # two first uses at the same time would wait for each other's lock
        with FileLock(file.with_name(f"{file.name}.lock"), timeout=LOCK_SECONDS):
            file.touch()
            with writing(engine) as connection:
                METADATA.create_all(connection)
        return engine


def _connect(file: Path) -> sqlite3.Connection:
    """A connection to a file that is there; readers never wait for the writer, and what is committed survives SIGKILL.

    Python's driver begins no transactions of its own: _begin does.
    """
    address = f"{file.as_uri()}?mode=rw"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads and then writes: in SQLite it holds the write lock from its beginning.

    Otherwise a write after a read fails at once when somebody else has written in between.
    """
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        yield connection


def in_turns(engine: Engine, items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in chunks, with a pause after each as long as the work on it.

    SQLite's lock goes to whoever asks when it is free: without pauses, long work in many short transactions keeps the
    server from writing.
    """
    for start in range(0, len(items), size):
        began = time.monotonic()
        yield items[start : start + size]
        if engine.dialect.name == "sqlite" and start + size < len(items):
            time.sleep(time.monotonic() - began)


def upsert(engine: Engine, table: Table) -> Any:
    """An insert of whole rows that replaces the row with the same key."""
    insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(table)
    keys = list(table.primary_key)
    others = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=keys, set_=others)


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn the database's own exceptions into a LogError that says what to do."""
    shown = make_url(uri).render_as_string(hide_password=True)
    try:
        yield
    except Timeout:
        raise LogError(f"the prediction log {shown} is being made by another process; run again") from None
    except ModuleNotFoundError as error:
        step = "pip install 'closedloop[postgres]'"
        raise LogError(f"the prediction log {shown} needs the package {error.name}: {step}") from None
    except Exception as error:
        if not _is_of_database(error):
            raise
        raise LogError(f"the prediction log {shown} failed ({_reason(error)}): {_advice(error, shown)}") from error


def _is_of_database(error: Exception) -> bool:
    drivers = type(error).__module__.partition(".")[0] == "psycopg"  # imported only where it is used
    return drivers or isinstance(error, SQLAlchemyError | sqlite3.Error | OSError)


def blames_data(error: BaseException | None) -> bool:
    """Whether it was a value that the database or its driver refused; whoever else writes has nothing to do with it."""
    if isinstance(error, ValueError | TypeError | OverflowError | sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return True
    return any(kind.__name__ in ("DataError", "IntegrityError") for kind in type(error).__mro__)


def _reason(error: Exception) -> str:
    """The driver's own first line, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return str(original).strip().partition("\n")[0] or type(original).__name__


def _advice(error: Exception, shown: str) -> str:
    said = _reason(error).lower()
    for words, advice in ADVICE:
        if any(word in said for word in words):
            return advice
    if shown.startswith("sqlite"):
        return "check that the path is right and the file is a prediction log, then run again"
    return "check that the address is right and the server is up, then run again"


ADVICE = (
    (("locked",), "another program holds it locked: close what has it open (a database browser?) and run again"),
    (("statement timeout",), "somebody holds a lock on it, or it is overloaded: see pg_stat_activity, and run again"),
    (("readonly", "read-only", "permission denied"), "it is read-only: make the file and its folder writable"),
    (("disk is full", "no space left"), "the disk is full: free some space, or lower log.keep_days and prune"),
    (
        ("unable to open",),
        "the file cannot be opened: put it back if it was moved or deleted, or restart the server; check "
        "that its folder is writable",
    ),
    (
        ("not a database", "malformed"),
        "the file is damaged: move it and its -wal and -shm files away (a new log is begun), and recover what you can "
        "with `sqlite3 FILE .recover`",
    ),
    (("disk i/o error",), "the disk cannot be read or written: see whether it is full or failing, and run again"),
    (
        ("no such table",),
        "the file is no prediction log, or was replaced: put the right one back, or restart the server",
    ),
    (("password", "authentication"), "check user and password in CLOSEDLOOP_LOG_URI"),
)
