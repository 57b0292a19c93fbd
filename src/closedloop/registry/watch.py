"""What the registry says of a version, without importing MLflow, which takes two seconds and 225 MB of memory.

MLflow's tables are read directly, or its REST API is asked; tests hold both against the answers of its client.
"""

import functools
import hashlib
import sqlite3
import urllib.parse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from closedloop.config import Params
from closedloop.errors import RegistryError
from closedloop.files import sha256, sha256_tree
from closedloop.registry.rest import SECONDS, ask, is_http, unanswered
from closedloop.registry.store import project_root, sqlite_file, tracking_uri

ALIAS = """
SELECT a.version, COALESCE(NULLIF(v.storage_location, ''), v.source), t.value FROM registered_model_aliases a
LEFT JOIN model_versions v ON v.name = a.name AND v.version = a.version
LEFT JOIN model_version_tags t ON t.name = a.name AND t.version = a.version AND t.key = 'digest'
WHERE a.name = :name AND a.alias = :alias
"""
VERSION = """
SELECT COALESCE(NULLIF(v.storage_location, ''), v.source), t.value FROM model_versions v
LEFT JOIN model_version_tags t ON t.name = v.name AND t.version = v.version AND t.key = 'digest'
WHERE v.name = :name AND v.version = :version AND v.current_stage != 'Deleted_Internal'
"""
TAGS = """
SELECT t.key, t.value FROM model_version_tags t
JOIN model_versions v ON v.name = t.name AND v.version = t.version AND v.current_stage != 'Deleted_Internal'
WHERE t.name = :name AND t.version = :version
"""


@dataclass(frozen=True)
class Target:
    """What an alias leads to: a version, and which model that is, as another store has another one of that number."""

    version: int
    location: str | None
    digest: str | None


@dataclass(frozen=True)
class Stored:
    """Where a version's files are, and the digest of its model where registration has noted one."""

    location: str  # a folder's path or url
    digest: str | None

    @property
    def local(self) -> Path | None:
        parts = urllib.parse.urlsplit(self.location)
        return Path(urllib.parse.unquote(parts.path)) if parts.scheme in ("", "file") else None


def alias_version(params: Params, alias: str) -> int | None:
    """The version behind an alias of the task's model, or None.

    Raises RegistryError when the store does not answer.
    """
    target = alias_target(params, alias)
    return target.version if target else None


def alias_target(params: Params, alias: str) -> Target | None:
    """What an alias of the task's model leads to, or None.

    Raises RegistryError when the store does not answer.
    """
    uri, name = tracking_uri(params), params.task.name
    if not is_http(uri):
        row = _row(uri, ALIAS, name=name, alias=alias)
        return Target(int(row[0]), row[1], row[2]) if row else None
    answer = ask(uri, "registered-models/alias", name=name, alias=alias)
    if not answer:
        return None
    found = answer["model_version"]
    return Target(int(found["version"]), found.get("source"), _tags(found).get("digest"))


def stored_version(params: Params, version: int) -> Stored | None:
    """Where a version is kept, or None where there is no such version.

    Raises RegistryError when the store does not answer.
    """
    uri, name = tracking_uri(params), params.task.name
    if not is_http(uri):
        row = _row(uri, VERSION, name=name, version=version)
        return Stored(*row) if row else None
    found = ask(uri, "model-versions/get", name=name, version=version)
    place = ask(uri, "model-versions/get-download-uri", name=name, version=version)
    if not found or not place:
        return None
    return Stored(place["artifact_uri"], _tags(found["model_version"]).get("digest"))


def version_tags(params: Params, version: int) -> dict[str, str]:
    """The tags of a version; empty where there is no such version.

    Raises RegistryError when the store does not answer.
    """
    uri, name = tracking_uri(params), params.task.name
    if not is_http(uri):
        return {key: value or "" for key, value in _rows(uri, TAGS, name=name, version=version)}
    found = ask(uri, "model-versions/get", name=name, version=version)
    return _tags(found["model_version"]) if found else {}


def version_folder(params: Params, version: int) -> Path:
    """The folder of a version's MLflow model on this machine, with the model proven to be the one registered.

    Local files are read in place; others are fetched into work/serving/<task>/<version>/ by a process of its own.

    Raises RegistryError when the store does not answer, or the version or its files are missing or altered.
    """
    name = params.task.name
    stored = stored_version(params, version)
    if stored is None:
        raise RegistryError(f"the registry has no version {version} of {name}; `make models` lists what it has")
    if stored.local is not None:
        folder = stored.local
    else:
        from closedloop.registry.fetch import fetched

        folder = fetched(stored, project_root() / "work" / "serving" / name / str(version), tracking_uri(params))
    flaw = find_flaw(folder, stored.digest)
    if flaw:
        raise RegistryError(unusable(name, version, flaw))
    return folder


def unusable(name: str, version: int, flaw: str) -> str:
    """What is said of a version that cannot be used."""
    return (
        f"version {version} of {name} is not usable: {flaw}; `make run` registers the trained model anew, "
        "`make rollback` returns to the version before"
    )


def find_flaw(folder: Path, digest: str | None) -> str:
    """What is wrong with the files of an MLflow model of this project; empty when nothing is."""
    model, preprocessor = model_files(folder)
    for path in (model, preprocessor / "preprocessor.json"):
        if not path.is_file():
            return f"{path} is missing"
    if digest is not None and model_digest(model, preprocessor) != digest:
        return f"the files in {folder} are not those that were registered (their digest differs)"
    return ""


def model_files(folder: Path) -> tuple[Path, Path]:
    """The ONNX file and the preprocessor's folder inside an MLflow model of this project."""
    return folder / "artifacts" / "model.onnx", folder / "artifacts" / "preprocessor"


def model_digest(onnx: Path, preprocessor: Path) -> str:
    """What identifies a model: SHA-256 over its weights and its fitted transform."""
    return hashlib.sha256((sha256(onnx) + sha256_tree(preprocessor)).encode()).hexdigest()


def _tags(version: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in version.get("tags", [])}


def _row(uri: str, query: str, **values: Any) -> Any:
    """The first row of a query against MLflow's tables, or None."""
    return next(iter(_rows(uri, query, **values)), None)


def _rows(uri: str, query: str, **values: Any) -> Sequence[Any]:
    file = sqlite_file(uri)
    if file is None:
        return _rows_from_server(uri, query, values)
    file = file.with_name(file.name.partition("?")[0])  # behind it stand options for SQLAlchemy
    if not file.is_file():
        raise RegistryError(f"there is no MLflow store {file} yet; `make run` makes it")
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=SECONDS)) as database:
            return database.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise unanswered(uri, str(error)) from error


def _rows_from_server(uri: str, query: str, values: dict[str, Any]) -> Sequence[Any]:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _engine(uri).connect() as connection:
            found: Sequence[Any] = connection.execute(text(query), values).fetchall()
            return found
    except (SQLAlchemyError, ImportError) as error:  # ImportError: its driver is not installed
        raise unanswered(uri, str(error)) from error


@functools.lru_cache(maxsize=1)
def _engine(uri: str) -> Any:
    """One kept connection, tested before each use, so that a restarted database is no failure."""
    from sqlalchemy import create_engine

    limits = {"connect_timeout": SECONDS, "tcp_user_timeout": SECONDS * 1000} if uri.startswith("postgresql") else {}
    return create_engine(uri, pool_size=1, pool_pre_ping=True, isolation_level="AUTOCOMMIT", connect_args=limits)
