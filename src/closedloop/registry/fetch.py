"""Brings a version's files from remote storage; run as a process of its own, so that its caller never imports MLflow.

Run as `python -m closedloop.registry.fetch LOCATION FOLDER DIGEST` with MLFLOW_TRACKING_URI set; DIGEST may be empty.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from closedloop.errors import RegistryError
from closedloop.registry.watch import Stored, find_flaw
from closedloop.sources.transport import public

SECONDS = 600.0
KEPT = 5  # versions fetched last; a rollback then needs no download


def fetched(stored: Stored, folder: Path, tracking_uri: str) -> Path:
    """The folder with the files of a remote version, downloaded unless they are there and proven right.

    Raises RegistryError when they cannot be downloaded.
    """
    if stored.digest is not None and not find_flaw(folder, stored.digest):
        return folder
    command = [sys.executable, "-m", "closedloop.registry.fetch", stored.location, str(folder), stored.digest or ""]
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri},
        )
    except subprocess.TimeoutExpired:
        raise RegistryError(f"{public(stored.location)} could not be downloaded in {SECONDS:.0f} s") from None
    if finished.returncode != 0:
        last = (finished.stderr.strip() or "no reason given").splitlines()[-1]
        raise RegistryError(f"{public(stored.location)} could not be downloaded: {last}")
    return folder


def fetch(location: str, folder: Path, digest: str | None) -> None:
    """Download a folder of artifacts so that it appears whole or not at all; what cannot be proven is fetched again."""
    import mlflow

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "fetch.lock"):
        if digest is not None and not find_flaw(folder, digest):  # by another worker, while this one waited
            return
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
            arrived = Path(mlflow.artifacts.download_artifacts(location, dst_path=temporary))
            shutil.rmtree(folder, ignore_errors=True)
            arrived.rename(folder)
        versions = sorted((path for path in folder.parent.iterdir() if path.name.isdigit()), key=_changed, reverse=True)
        for old in versions[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)


def _changed(path: Path) -> float:
    return path.stat().st_mtime


if __name__ == "__main__":
    fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3] or None)
