"""What git keeps of one task, of a commit or of the working tree."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from closedloop.errors import ClosedLoopError, DataError
from closedloop.paths import Paths


@dataclass(frozen=True)
class Snapshot:
    """Parsed files; one that is not there is empty."""

    params: dict[str, Any]
    stages: dict[str, Any]  # the task's part of dvc.lock, by the stage's name
    partitions: list[dict[str, Any]]
    evaluation: dict[str, Any]
    splits: dict[str, Any]
    registration: dict[str, Any]
    drift: dict[str, Any]


def committed(task: str, commit: str) -> Snapshot:
    """The files of a commit.

    Raises ClosedLoopError when there is no such commit, DataError when a file in it is damaged.
    """
    if _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}") is None:
        raise ClosedLoopError(
            f"{commit!r} names no commit here, so that there is nothing to compare with; name another one "
            "(`make report ARGS=--base=main`), in a git checkout that holds it"
        )
    return _snapshot(task, lambda file: _git("show", f"{commit}:./{file.as_posix()}"), commit)


def working_tree(task: str) -> Snapshot:
    """The files as they lie here, committed or not.

    Raises DataError when one is damaged.
    """
    return _snapshot(task, lambda file: file.read_text("utf-8") if file.is_file() else None, "the working tree")


def _snapshot(task: str, read: Callable[[Path], str | None], where: str) -> Snapshot:
    paths = Paths(task)

    def content(file: Path, absent: Any) -> Any:
        text = read(file)
        if text is None:
            return absent
        try:
            return json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
        except (yaml.YAMLError, ValueError) as error:
            raise DataError(f"{file} of {where} is damaged ({error}); take it from another commit") from None

    stages = content(Path("dvc.lock"), {}).get("stages", {})
    return Snapshot(
        params=content(Path("params.yaml"), {}),
        stages={name.partition("@")[0]: stage for name, stage in stages.items() if name.endswith(f"@{task}")},
        partitions=content(Path("partitions") / f"{task}.json", []),
        evaluation=content(paths.report("evaluation.json"), {}),
        splits=content(paths.report("preprocess.json"), {}).get("splits", {}),
        registration=content(paths.report("registration.json"), {}),
        drift=content(paths.report("drift.json"), {}),
    )


def _git(*arguments: str) -> str | None:
    """What git answers; None when it refuses, or is not there."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, encoding="utf-8")
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
