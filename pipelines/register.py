"""register: a model version, the gate's verdict, the champion alias moved or not."""

from closedloop.config import Params
from closedloop.paths import Paths
from closedloop.receipt import current_receipt
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    receipt = current_receipt(params, paths)
    if receipt is None:
        from closedloop.registration import register  # seconds of imports that "nothing has changed" does without

        receipt = register(params, paths)
    print(receipt["summary"])


if __name__ == "__main__":
    main()
