"""Which version is tried on live traffic beside the champion: the alias `challenger`."""

from closedloop.config import Params
from closedloop.errors import ConfigError, RegistryError
from closedloop.registry.aliases import champion_version, load_version, versions
from closedloop.registry.store import CHALLENGER, connect, registry_lock, tracking_uri, translated
from closedloop.registry.watch import alias_version


def challenge(params: Params, version: int) -> None:
    """Make a version the challenger; it must load.

    Raises ConfigError for a version that does not exist or is the champion, RegistryError when it does not load or
    there is no champion to challenge.
    """
    client, name = connect(params), params.task.name
    with registry_lock(params), translated(tracking_uri(params)):
        known = sorted(int(entry.version) for entry in versions(client, name))
        if version not in known:
            listed = ", ".join(map(str, known)) or "none"
            raise ConfigError(f"{name} has no version {version}; registered: {listed}. `make models` shows them")
        champion = champion_version(client, name)
        if champion is None:
            raise RegistryError(f"{name} has no champion to challenge; `make promote VERSION={version}` makes it one")
        if champion == version:
            raise ConfigError(f"version {version} of {name} is the champion; another one can challenge it")
        load_version(params, version)
        client.set_registered_model_alias(name, CHALLENGER, str(version))


def unchallenge(params: Params) -> int:
    """Take the challenger off the live traffic; return its version.

    Raises RegistryError when there is none.
    """
    client, name = connect(params), params.task.name
    with registry_lock(params), translated(tracking_uri(params)):
        version = alias_version(params, CHALLENGER)
        if version is None:
            raise RegistryError(f"{name} has no challenger; `make challenge VERSION=…` names one")
        client.delete_registered_model_alias(name, CHALLENGER)
        return version
