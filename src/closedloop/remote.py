"""DVC's remote storage: what one machine has made, brought to the next one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from closedloop.config import Params
from closedloop.errors import ClosedLoopError, ConfigError
from closedloop.reproduction import allow_missing_git, dvc, exclusive
from closedloop.sources.transport import public


def restore(params: Params) -> str:
    """Bring the composed task's outputs, as dvc.lock names them, from the remote; say what came of it.

    Where the remote holds only a part of them, the rest is left to the next run.

    Raises ConfigError without a remote, ClosedLoopError when the remote cannot be read or holds none of them, or when a
    file here is in the way.
    """
    with exclusive():
        remote = _remote()
        outs = _outs(params.task.name)
        if not outs:
            return f"dvc.lock knows no run of {params.task.name}: nothing to restore, the next run makes everything"
        if dvc("pull", "--allow-missing", *outs) != 0:
            raise _failed("restore from", remote)
    names = [path for paths in outs.values() for path in paths]
    missing = sorted(name for name in names if not Path(name).exists())
    if len(missing) == len(names):  # DVC takes some remotes that do not answer for empty ones
        raise ClosedLoopError(
            f"{remote} holds none of the {len(names)} outputs of {params.task.name} that dvc.lock names, or does not "
            "answer: check its address, and run `make publish` once where they were made. To make them anew instead, "
            "go on without `make restore`"
        )
    lacking = f"; the next run makes {', '.join(missing)}" if missing else ""
    here = f"{len(names) - len(missing)} of the {len(names)} outputs"
    return f"{here} of {params.task.name} are here, from {remote}{lacking}"


def publish(params: Params) -> str:
    """Send the composed task's outputs, as dvc.lock names them, to the remote; say what came of it.

    Raises ConfigError without a remote, ClosedLoopError when there is nothing to send or the remote cannot be written.
    """
    with exclusive():
        remote = _remote()
        outs = _outs(params.task.name)
        if not outs:
            raise ClosedLoopError(f"dvc.lock knows no run of {params.task.name}: there is nothing to publish yet")
        if dvc("push", *outs) != 0:
            raise _failed("publish to", remote)
    return (
        f"published {sum(map(len, outs.values()))} outputs of {params.task.name} to {remote}; commit dvc.lock with them"
    )


def _remote() -> str:
    """The default remote, in words."""
    allow_missing_git()
    name = _setting("core.remote")
    if not name:
        raise ConfigError(
            "no DVC remote is configured: name one with `dvc remote add --default storage s3://bucket/folder` (a "
            "folder works too), commit .dvc/config and give the credentials by environment; see docs/scheduling.md"
        )
    return f"the DVC remote {name} ({public(_setting(f'remote.{name}.url'))})"


def _setting(key: str) -> str:
    """A value of DVC's configuration, all of its files taken together; empty where it is not set."""
    command = [sys.executable, "-m", "dvc", "config", key]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _outs(task: str) -> dict[str, list[str]]:
    """The cached outputs of each of the task's stages that have run, by the stage's address."""
    lock = Path("dvc.lock")
    if not lock.is_file():
        return {}
    ran = _stages(lock)
    addresses = {f"{name}@{task}": stage.get("outs", []) for name, stage in _stages(Path("dvc.yaml")).items()}
    cached = {address: _cached(outs, task) for address, outs in addresses.items() if address in ran}
    return {address: paths for address, paths in cached.items() if paths}


def _stages(file: Path) -> dict[str, Any]:
    try:
        stages: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")).get("stages", {})
        return stages
    except (yaml.YAMLError, AttributeError):
        raise ClosedLoopError(
            f"{file} is damaged: resolve the merge conflict that is left in it, or take the committed one from git"
        ) from None


def _cached(outs: list[Any], task: str) -> list[str]:
    """Paths that DVC keeps in its cache; the others are kept by git."""
    options = {path: flags for out in outs for path, flags in (out.items() if isinstance(out, dict) else [(out, {})])}
    return [path.replace("${item.task}", task) for path, flags in options.items() if flags.get("cache", True)]


def _failed(attempted: str, remote: str) -> ClosedLoopError:
    return ClosedLoopError(
        f"DVC could not {attempted} {remote}: its reason stands above. Check the address, the credentials in the "
        "environment and, for a bucket, that its extra is installed (`make setup EXTRAS=s3` or gcs); then run again, "
        "what is done is kept"
    )
