"""register: a model version, the gate's verdict, the champion alias moved or not."""

from closedloop.config import Params
from closedloop.paths import Paths
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    from closedloop.registration import register

    print(register(params, paths)["summary"])


if __name__ == "__main__":
    main()
