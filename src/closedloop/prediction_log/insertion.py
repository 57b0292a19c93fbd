"""Inserts rows with one statement a group: what a row costs decides what logging costs the server."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, Table

from closedloop.errors import LogError
from closedloop.prediction_log.schema import REQUESTS
from closedloop.prediction_log.store import BUSY_SECONDS, blames_data, translated

GROUP = 64  # rows of one statement

Row = tuple[Any, ...]
Group = Callable[[], list[Row]]  # makes its rows at each try, so that a time in them is never older than that


class Inserter:
    """A connection of the driver's own, outside SQLAlchemy's pool, which would take longer than the insert.

    Rows whose key is there already are left alone, so that a group can be repeated after a connection was lost.
    """

    def __init__(self, engine: Engine) -> None:
        pooled = engine.raw_connection()
        connection: Any = pooled.driver_connection
        self._connection = connection
        pooled.detach()
        self._mark = "?" if engine.dialect.name == "sqlite" else "%s"
        self._file = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None
        self._inode = self._file.stat().st_ino if self._file else 0
        if not self._file:
            self._connection.autocommit = True
            # as in SQLite, nobody waits longer for another one's lock
            self._connection.execute(f"SET statement_timeout = {int(BUSY_SECONDS * 1000)}")

    @property
    def is_lost(self) -> bool:
        """Whether the database has gone away, so that a new connection may help."""
        return self._file is None and bool(self._connection.closed)

    def insert(self, table: Table, rows: list[Row]) -> None:
        """Commit the rows, all or none. Raises the driver's errors, and LogError when the file is another one."""
        if not rows:
            return
        if len(rows) <= GROUP:  # one statement is a transaction of its own
            self._execute(table, rows)
        else:
            self._connection.execute("BEGIN")
            try:
                for start in range(0, len(rows), GROUP):
                    self._execute(table, rows[start : start + GROUP])
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise
        if self._file and not self._is_in_place(self._file):
            raise LogError(
                f"the prediction log {self._file} has been moved, replaced or deleted while it was written: put it "
                "back, or restart the server, which begins a new one"
            )

    def _is_in_place(self, file: Path) -> bool:
        """Whether the path still leads to the open file: writing to a deleted one fails nowhere and keeps nothing."""
        try:
            return file.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _execute(self, table: Table, rows: list[Row]) -> None:
        self._connection.execute(_statement(table, len(rows), self._mark), list(chain.from_iterable(rows)))

    def close(self) -> None:
        self._connection.close()


class Failure(NamedTuple):
    """Why rows were not committed, and whether a value of one of them was at fault."""

    reason: str
    of_data: bool


class Committer:
    """Commits groups of rows in one transaction; for one thread, while any may ask how long it has been busy."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._uri = engine, str(engine.url)  # without the password
        self._inserter: Inserter | None = None
        self._since: float | None = None  # when the rows at hand were begun with, on the monotonic clock

    @property
    def busy_seconds(self) -> float:
        """For how long the rows at hand have been waited for."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def commit(self, table: Table, groups: Sequence[Group]) -> list[str | None]:
        """Commit groups of rows, each all or none; the error in words of each that fails.

        All at once, and one by one where a value of some row is at fault: the others have nothing to do with it.
        """
        failure = self._insert(table, groups)
        if failure is None or not failure.of_data or len(groups) == 1:
            return [failure and failure.reason] * len(groups)
        alone = [self._insert(table, [group]) for group in groups]
        return [failure and failure.reason for failure in alone]

    def close(self) -> None:
        if self._inserter is not None:
            self._inserter.close()
            self._inserter = None

    def _insert(self, table: Table, groups: Sequence[Group]) -> Failure | None:
        """Commit groups together, or say why not. A connection that was lost is made anew once."""
        self._since = time.monotonic()
        failure = self._try(table, groups)
        if failure and self._inserter and self._inserter.is_lost:
            self.close()
            failure = self._try(table, groups)
            if failure and self._inserter and self._inserter.is_lost:
                self.close()
        self._since = None
        return failure

    def _try(self, table: Table, groups: Sequence[Group]) -> Failure | None:
        try:
            with translated(self._uri):
                self._inserter = self._inserter or Inserter(self._engine)
                self._inserter.insert(table, list(chain.from_iterable(group() for group in groups)))
            return None
        except LogError as error:
            return Failure(str(error), blames_data(error.__cause__))
        except Exception as error:  # whatever it is, those who wait must hear of it
            reason = f"the prediction log {self._uri} failed ({type(error).__name__})"
            return Failure(reason, blames_data(error))


@cache
def _statement(table: Table, rows: int, mark: str) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    row = f"({', '.join([mark] * len(table.columns))})"
    conflict = "NOTHING"
    if table is REQUESTS:
        conflict = 'UPDATE SET "count" = requests."count" + excluded."count"'
    target = ", ".join(f'"{column.name}"' for column in table.primary_key)
    values = ", ".join([row] * rows)
    return f'INSERT INTO "{table.name}" ({columns}) VALUES {values} ON CONFLICT ({target}) DO {conflict}'  # noqa: S608
