"""One question to the registry without importing MLflow, which takes two seconds."""

from closedloop.config import Params
from closedloop.errors import RegistryError
from closedloop.registry.store import CHAMPION
from closedloop.registry.watch import alias_version, stored_version


def quick_look(params: Params, version: int, digest: str) -> tuple[bool, int | None]:
    """(whether a version with this model's digest and its files are there, the champion), in milliseconds.

    Importing MLflow takes two seconds, too long for the question "has anything changed?" that every `dvc repro` asks.
    Remote files are taken to be there.
    """
    try:
        stored, champion = stored_version(params, version), alias_version(params, CHAMPION)
    except RegistryError:  # locked, damaged, not there or not reached: the full way gives the full answer
        return False, None
    there = stored is not None and stored.digest == digest and (stored.local is None or stored.local.is_dir())
    return there, champion
