"""preprocess: raw data -> examples by split, the fitted transform, packed tensors."""

from closedloop.config import Params
from closedloop.files import write_json
from closedloop.paths import Paths
from closedloop.preparation.preprocessing import preprocess
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    summary = preprocess(params, paths)
    write_json(paths.report("preprocess.json"), summary)
    print("  ".join(f"{split} {part['examples']}" for split, part in summary["splits"].items()))


if __name__ == "__main__":
    main()
