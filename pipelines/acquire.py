"""acquire: a source and the listed partitions -> raw files and their manifest."""

from closedloop.config import Params
from closedloop.paths import Paths
from closedloop.sources.acquire import acquire
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    for entry in acquire(params, paths):
        print(f"{entry['name']:25} {entry['bytes']:>12,} bytes  from {entry['retrieved_from'] or 'an earlier run'}")


if __name__ == "__main__":
    main()
