"""Which version is the champion: reading, moving and taking back the alias."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from closedloop.config import Params
from closedloop.errors import ConfigError, DataError, RegistryError
from closedloop.registry.store import CHAMPION, UTC_SECOND, connect, registry_lock, tracking_uri, translated
from closedloop.registry.watch import alias_version, model_files, unusable, version_folder
from closedloop.serving.predictor import Predictor

BY_HAND = "promoted by hand"
ROLLED_BACK = "rolled back from version"
HISTORY = "closedloop.champions"  # tag of the registered model: a JSON list of moves, the latest last


@dataclass(frozen=True)
class Champion:
    """The deployed model."""

    version: int
    predictor: Predictor


@dataclass(frozen=True)
class Move:
    """One move of the alias."""

    version: int
    time: str  # UTC
    reason: str


def champion_version(client: Any, name: str) -> int | None:
    """The version behind the alias, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return int(client.get_model_version_by_alias(name, CHAMPION).version)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def versions(client: Any, name: str) -> list[Any]:
    """All versions of a model, the latest first."""
    found = client.search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda version: -int(version.version))


def find_version(client: Any, name: str, digest: str) -> int | None:
    """The version whose model has a digest, or None; the latest of several."""
    return next((int(entry.version) for entry in versions(client, name) if entry.tags.get("digest") == digest), None)


def load_version(params: Params, version: int) -> Champion:
    """Load a version's model from its files.

    Raises RegistryError when the version or its files are gone, do not load, or are not those that were registered.
    """
    try:
        return Champion(version, Predictor.load(*model_files(version_folder(params, version))))
    except (DataError, OSError) as error:
        raise RegistryError(unusable(params.task.name, version, str(error).splitlines()[0])) from error


def load_champion(params: Params) -> Champion:
    """The champion of a task.

    Raises RegistryError when there is none, or as `load_version` does.
    """
    version = alias_version(params, CHAMPION)
    if version is None:
        raise RegistryError(f"there is no champion of {params.task.name}; `make run` trains and registers one")
    return load_version(params, version)


def moves(client: Any, name: str) -> list[Move]:
    """The moves of the champion alias, the latest last."""
    tags = client.get_registered_model(name).tags
    return [Move(**move) for move in json.loads(tags.get(HISTORY, "[]"))]


def move_champion(client: Any, name: str, version: int, reason: str) -> None:
    """Write down why, then point the alias at a version; the caller holds the registry's lock.

    In this order a kill in between leaves a move too many, which rollback skips, and never one too few.
    """
    move = Move(version, time.strftime(UTC_SECOND, time.gmtime()), reason)
    history = [*moves(client, name), move]
    client.set_registered_model_tag(name, HISTORY, json.dumps([asdict(m) for m in history]))
    client.set_registered_model_alias(name, CHAMPION, str(version))


def promote(params: Params, version: int) -> Move:
    """Make a version the champion by hand, past the gate; it must load.

    Raises ConfigError for a version that does not exist.
    """
    client, name = connect(params), params.task.name
    with registry_lock(params), translated(tracking_uri(params)):
        known = [int(entry.version) for entry in versions(client, name)]
        if version not in known:
            listed = ", ".join(str(number) for number in sorted(known)) or "none"
            raise ConfigError(f"{name} has no version {version}; registered: {listed}. `make models` shows them")
        if champion_version(client, name) == version:
            raise ConfigError(f"version {version} of {name} is the champion already")
        load_version(params, version)
        move_champion(client, name, version, BY_HAND)
        return moves(client, name)[-1]


def rollback(params: Params) -> Move:
    """Make the champion's predecessor the champion again; repeated, it goes further back.

    Raises RegistryError when there is no earlier champion that still exists.
    """
    client, name = connect(params), params.task.name
    with registry_lock(params), translated(tracking_uri(params)):
        current = champion_version(client, name)
        known = {int(entry.version) for entry in versions(client, name)}
        target = predecessor(moves(client, name) if known else [], current, known)
        if target is None:
            raise RegistryError(f"{name} has no earlier champion to return to; `make models` shows the versions")
        load_version(params, target)
        move_champion(client, name, target, f"{ROLLED_BACK} {current}" if current else "the alias was lost")
        return moves(client, name)[-1]


def predecessor(history: list[Move], current: int | None, known: set[int]) -> int | None:
    """The champion before the current one; a rollback undoes a move, so that the next one goes further back."""
    stack: list[int] = []
    for move in history:
        if move.reason.startswith(ROLLED_BACK) and move.version in stack:
            last = len(stack) - 1 - stack[::-1].index(move.version)
            del stack[last + 1 :]
        else:
            stack.append(move.version)
    while stack and stack[-1] == current:
        stack.pop()
    return next((version for version in reversed(stack) if version in known and version != current), None)


def is_rolled_back(history: list[Move], version: int) -> bool:
    """Whether a person has taken this version back and nobody has promoted it since."""
    taken_back = False
    for move in history:
        if move.version == version:
            taken_back = False
        elif move.reason == f"{ROLLED_BACK} {version}":
            taken_back = True
    return taken_back


def by_hand_since(history: list[Move], moment: str) -> Move | None:
    """The move that made the champion, where a person made it after a moment (UTC, as in a move); None otherwise."""
    last = history[-1] if history else None
    return last if last and last.time > moment and last.reason.startswith((BY_HAND, ROLLED_BACK)) else None


def standing_champion(client: Any, name: str) -> int | None:
    """The champion; where only its alias is lost, the last one that still exists, with the alias restored."""
    current = champion_version(client, name)
    if current is not None:
        return current
    known = {int(entry.version) for entry in versions(client, name)}
    last = next((move.version for move in reversed(moves(client, name)) if move.version in known), None)
    if last is not None:
        move_champion(client, name, last, "the alias was lost")
    return last
