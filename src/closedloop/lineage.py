"""What a model came from: the commit, the data, the libraries."""

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

LIBRARIES = ("torch", "pytorch-lightning", "onnxruntime", "numpy", "mlflow", "dvc")


def git_commit(root: Path = Path()) -> str:
    """The commit of the working tree, with "-dirty" when files differ from it; "none" outside a git checkout."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "none"


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=root, check=True, capture_output=True, text=True, timeout=20
    ).stdout.strip()


def dvc_hashes(task: str, root: Path = Path()) -> dict[str, str]:
    """Hashes of what the task's stages have written, by path, from dvc.lock; empty where there is none."""
    lock = root / "dvc.lock"
    if not lock.is_file():
        return {}
    stages: dict[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8")).get("stages", {})
    return {
        out["path"]: next(out[kind] for kind in ("md5", "etag", "checksum") if kind in out)
        for name, stage in stages.items()
        if name.endswith(f"@{task}") and name.split("@")[0] in ("acquire", "preprocess", "train")
        for out in stage.get("outs", [])
    }


def library_versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}
