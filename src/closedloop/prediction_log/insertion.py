"""Inserts rows with one statement a group: what a row costs decides what logging costs the server."""

from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table

from closedloop.errors import LogError
from closedloop.prediction_log.schema import REQUESTS

GROUP = 64  # rows of one statement

Row = tuple[Any, ...]


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
