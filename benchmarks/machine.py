"""What a figure was measured on."""

import os
import platform
from typing import Any

import torch

from closedloop.lineage import git_commit, library_versions


def describe_machine() -> dict[str, Any]:
    """Processor, cores, accelerator, versions and commit: what a reader needs to place a figure."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "python": platform.python_version(),
        "libraries": library_versions(),
        "commit": git_commit(),
    }
