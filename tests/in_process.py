"""The stages of a checkout one after another in this process, without DVC: what they import is imported once.

For tests of what a kind of task comes to; `test_pipeline` is about the processes, DVC and their ends.
"""

import os
import runpy
import sys
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from closedloop import composition
from closedloop.files import read_json

ROOT = Path(__file__).parents[1]
STAGES = [name.replace("-", "_") for name in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]]
WATCHING = ("traffic", "monitor")


def run_stage(project: Path, name: str) -> int:
    """Run pipelines/<name>.py as DVC would; return its exit code. The environment is afterwards what it was."""
    script = ROOT / "pipelines" / f"{name}.py"
    with chdir(project), mock.patch.dict(os.environ), mock.patch.object(sys, "argv", [name]):
        for other in [key for key in os.environ if key.startswith(("MLFLOW_", "DVC_"))]:
            del os.environ[other]
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
    return int(ended.value.code or 0)


def run(project: Path, task: str, *overrides: str, stages: Sequence[str] = STAGES) -> None:
    """Compose the task's configuration and run its stages; each must end well."""
    composition.write(project / "params.yaml", task, overrides, project / "conf")
    for name in stages:
        assert run_stage(project, name) == 0, f"{name}: the reason stands in the captured output"


def watch(project: Path, *overrides: str) -> dict[str, Any]:
    """What the monitor reports of other traffic; the configuration is afterwards what it was."""
    params = project / "params.yaml"
    before = params.read_bytes()
    task, recorded = composition.current(params)
    try:
        run(project, task, *composition.merged(recorded, overrides), stages=WATCHING)
    finally:
        params.write_bytes(before)
    report: dict[str, Any] = read_json(project / "reports" / task / "drift.json")
    return report
