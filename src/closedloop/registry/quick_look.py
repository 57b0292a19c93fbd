"""One question to the registry without importing MLflow, which takes two seconds."""

import sqlite3

from closedloop.config import Params
from closedloop.registry.store import CHAMPION, sqlite_file, tracking_uri


def quick_look(params: Params, version: int) -> tuple[bool, int | None]:
    """(whether a version exists, the champion), in milliseconds where the store is SQLite.

    Importing MLflow takes two seconds, too long for the question "has anything changed?" that every `dvc repro` asks.
    Two of MLflow's tables are read directly there; a test holds this against the client's answers.
    """
    uri, name = tracking_uri(params), params.task.name
    file = sqlite_file(uri)
    if file is None:
        from closedloop.registry.aliases import champion_version, versions
        from closedloop.registry.store import connect, translated

        client = connect(params)
        with translated(uri):
            return version in {int(v.version) for v in versions(client, name)}, champion_version(client, name)
    if not file.is_file():
        return False, None
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5) as database:
            found = database.execute(
                "SELECT 1 FROM model_versions WHERE name = ? AND version = ? AND current_stage != 'Deleted_Internal'",
                (name, version),
            ).fetchone()
            alias = database.execute(
                "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", (name, CHAMPION)
            ).fetchone()
    except sqlite3.OperationalError:  # locked, or tables not there: the full way gives the full answer
        return False, None
    return found is not None, int(alias[0]) if alias else None
