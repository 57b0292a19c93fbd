"""All that the weights of a training depend on, told without importing torch."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from closedloop.config import Params
from closedloop.files import sha256, sha256_tree
from closedloop.paths import Paths
from closedloop.tasks.schema import KINDS

PACKAGE = Path(__file__).parents[1]
# the sections of the configuration among them
INFLUENCE: Any = {
    "task": {"classes", "kind", "name"},
    "preprocess": {"features"},
    "source": {"format"},
    **dict.fromkeys(("seed", "model", "augmentation", "optimizer", "scheduler", "trainer", "transfer"), True),
}


def influences(params: Params, paths: Paths) -> dict[str, Any]:
    """Configuration, data, code and versions of the libraries: with the same ones the weights are the same."""
    simulators = [PACKAGE / "tasks" / params.task.kind / name for name in KINDS[params.task.kind].simulators]
    return {
        "params": params.model_dump(include=INFLUENCE),
        "transfer": sha256(Path(params.transfer.weights)) if params.transfer.chosen else None,
        "tensors": [sha256(paths.tensors(split)) for split in ("train", "validation")],
        "versions": [version("torch"), version("pytorch-lightning")],
        "code": [
            *(sha256_tree(PACKAGE / room, "*.py") for room in ("learning", "networks")),
            *(sha256(simulator) for simulator in simulators),
        ],
    }
