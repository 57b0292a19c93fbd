"""The best values as a file of conf/tuned/, which Hydra takes up with tuned=<task>."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from closedloop.composition import compose
from closedloop.config import Params, parse
from closedloop.files import write_text
from closedloop.nested import put
from closedloop.tuning.space import Values, configured, with_values


def write_tuned(
    params: Params, values: Values, remarks: Sequence[str], conf: Path = Path("conf")
) -> tuple[Path, list[str]]:
    """Write conf/tuned/<task>.yaml, with what is known of the values as comments.

    Returns its path, and the overrides with which the task's configuration is the one that was trained: those of
    `params` that neither speak of the search nor of what it has searched, and the one that takes the file up.
    """
    task = params.task.name
    kept = [one for one in params.composed.overrides if not _is_superseded(_key(one), values)]
    without = configured(parse(compose(task, kept, conf), "conf/"))
    trained = configured(with_values(params, values))
    # besides the values, what they were found with and the overrides do not say: an earlier tuned file was in force
    needed = {key: value for key, value in trained.items() if key in values or without.get(key) != value}
    content: dict[str, Any] = {}
    for key, value in needed.items():
        put(content, key, value)
    path = conf / "tuned" / f"{task}.yaml"
    head = ["# @package _global_", *(f"# {line}" for line in remarks)]
    write_text(path, "\n".join(head) + "\n" + yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True))
    return path, [*kept, f"tuned={task}"]


def _is_superseded(key: str, values: Values) -> bool:
    return key in values or key in {"tuned", "tune"} or key.startswith("tune.")


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


class _Dumper(yaml.SafeDumper):
    """Lists in one line, as in the other files of conf/."""


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
