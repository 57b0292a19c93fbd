"""check-params: stop with one line when params.yaml is not what conf/ composes to."""

import os
from pathlib import Path

from closedloop.composition import check_current
from closedloop.config import Params
from closedloop.files import write_text
from closedloop.paths import Paths
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:  # noqa: ARG001  loading has checked the params themselves
    if not os.environ.get("DVC_EXP_NAME"):  # `dvc exp run` has composed params.yaml itself, a moment ago
        check_current(Path("params.yaml"))
    write_text(paths.report("params.ok"), "params.yaml is what conf/ composes to\n")


if __name__ == "__main__":
    main()
