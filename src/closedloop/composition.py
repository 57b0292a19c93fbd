"""Composes params.yaml from conf/ with Hydra, and tells when the two have drifted apart."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from closedloop.config import Params, load, parse
from closedloop.errors import ConfigError
from closedloop.files import write_text

HEADER = "# Composed from conf/ by `make params`; do not edit: the next composition would lose the change.\n"


def compose(task: str, overrides: Sequence[str] = (), conf: Path = Path("conf")) -> dict[str, Any]:
    """Compose the configuration of a task with Hydra overrides; the overrides are recorded in it.

    Raises ConfigError that names every override that Hydra refuses.
    """
    if not (conf / "config.yaml").is_file():
        raise ConfigError(f"{conf.resolve()} holds no config.yaml; run this in the project's root")
    known = sorted(path.stem for path in (conf / "task").glob("*.yaml"))
    if task not in known:
        raise ConfigError(f"there is no task {task!r}; conf/task/ has: {', '.join(known)}")
    if any(override.partition("=")[0] == "task" for override in overrides):
        raise ConfigError("the task is chosen with TASK=…, or --task, and not among the overrides")
    try:
        composed = _compose(task, overrides, conf)
    except _refusals() as error:
        refused = _refused(task, overrides, conf) or [_reason(error)]  # each goes alone, but not together
        raise ConfigError("Hydra refuses:\n" + "\n".join(f"  - {line}" for line in refused)) from None
    composed["composed"] = {"overrides": list(overrides)}
    return composed


def _compose(task: str, overrides: Sequence[str], conf: Path) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(version_base="1.3", config_dir=str(conf.resolve())):
        composed = hydra_compose("config", [f"task={task}", *(_lenient(override, conf) for override in overrides)])
    content = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(content, dict)  # noqa: S101  config.yaml is a mapping
    return {str(key): value for key, value in content.items()}


def _lenient(override: str, conf: Path) -> str:
    """The override of a value in the form that also adds a key: the schema knows better than Hydra what is allowed."""
    key = override.partition("=")[0]
    is_value = re.fullmatch(r"[a-z_][\w.]*", key) and not (conf / key).is_dir()
    return f"++{override}" if is_value else override


def _refused(task: str, overrides: Sequence[str], conf: Path) -> list[str]:
    """One line for each override that does not compose: Hydra itself stops at the first."""
    refused = []
    for alone in ([], *([override] for override in overrides)):
        try:
            _compose(task, alone, conf)
        except _refusals() as error:
            advice = "" if not alone or re.match(r"[^=\s]+=", alone[0]) else " (write key=value, without spaces)"
            refused.append(f"{alone[0] if alone else 'conf/'}: {_reason(error)}{advice}")
            if not alone:  # conf/ itself is broken: each override would only repeat it
                break
    return refused


def _refusals() -> tuple[type[Exception], ...]:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    return HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError


def _reason(error: Exception) -> str:
    return " ".join(str(error.__cause__ or error).split())


def write(path: Path, task: str, overrides: Sequence[str] = (), conf: Path = Path("conf")) -> Params:
    """Compose, check and write params.yaml; nothing is written when anything is wrong."""
    composed = compose(task, overrides, conf)
    params = parse(composed, f"the configuration composed from {conf}/")
    if params.task.name != task:
        raise ConfigError(f"task.name is {params.task.name!r}; it must be the name of its file, conf/task/{task}.yaml")
    write_text(path, HEADER + yaml.safe_dump(composed, sort_keys=False, allow_unicode=True))
    return params


def current(path: Path) -> tuple[str, list[str]]:
    """The task and the overrides that params.yaml was composed from."""
    params = load(path)
    return params.task.name, params.composed.overrides


def merged(recorded: Sequence[str], added: Sequence[str]) -> list[str]:
    """Overrides with later ones of the same key in place of earlier ones."""
    latest = {override.partition("=")[0]: override for override in (*recorded, *added)}
    return list(latest.values())


def check_current(path: Path, conf: Path = Path("conf")) -> None:
    """Raise ConfigError when params.yaml is not what conf/ and its recorded overrides compose to today."""
    task, overrides = current(path)
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    differing = differences(compose(task, overrides, conf), found)
    if differing:
        shown = "; ".join(f"{key} is {_short(has)} but conf/ says {_short(wants)}" for key, wants, has in differing[:3])
        more = f" (and {len(differing) - 3} more)" if len(differing) > 3 else ""
        keep = [f"{key}={_short(has)}" for key, _, has in differing]
        raise ConfigError(
            f"{path} is stale: {shown}{more}. Take over conf/ with `{_command(task, overrides)}`, "
            f"or keep these values with `{_command(task, [*overrides, *keep])}`"
        )


def _command(task: str, overrides: Sequence[str]) -> str:
    return f"make params TASK={task}" + (f" ARGS='{' '.join(overrides)}'" if overrides else "")


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value is not None else "absent"


def differences(wanted: Any, found: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    """(key, wanted, found) of every leaf in which two nested dictionaries differ; None stands for absent."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = [*wanted, *(k for k in found if k not in wanted)]
        return [d for k in keys for d in differences(wanted.get(k), found.get(k), f"{key}.{k}" if key else k)]
    return [] if wanted == found else [(key, wanted, found)]
