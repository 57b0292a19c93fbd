"""One question to the registry without importing MLflow, which takes two seconds."""

import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

from closedloop.config import Params
from closedloop.registry.store import CHAMPION, sqlite_file, tracking_uri

VERSION = """
SELECT v.storage_location FROM model_versions v
JOIN model_version_tags t ON t.name = v.name AND t.version = v.version AND t.key = 'digest' AND t.value = ?
WHERE v.name = ? AND v.version = ? AND v.current_stage != 'Deleted_Internal'
"""


def quick_look(params: Params, version: int, digest: str) -> tuple[bool, int | None]:
    """(whether a version with this model's digest and its files are there, the champion), in milliseconds for SQLite.

    Importing MLflow takes two seconds, too long for the question "has anything changed?" that every `dvc repro` asks.
    Three of MLflow's tables are read directly there; a test holds this against the client's answers.
    """
    uri, name = tracking_uri(params), params.task.name
    file = sqlite_file(uri)
    if file is None:
        from closedloop.registry.aliases import champion_version, find_version
        from closedloop.registry.store import connect, translated

        client = connect(params)
        with translated(uri):
            return find_version(client, name, digest) == version, champion_version(client, name)
    if not file.is_file():
        return False, None
    try:
        with sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=5) as database:
            found = database.execute(VERSION, (digest, name, version)).fetchone()
            alias = database.execute(
                "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", (name, CHAMPION)
            ).fetchone()
    except sqlite3.DatabaseError:  # locked, damaged, or tables not there: the full way gives the full answer
        return False, None
    return found is not None and _has_files(found[0]), int(alias[0]) if alias else None


def _has_files(location: str | None) -> bool:
    """Whether a version's local files are there; remote ones are taken to be."""
    parts = urlsplit(location or "")
    return parts.scheme not in ("", "file") or Path(unquote(parts.path)).is_dir()
