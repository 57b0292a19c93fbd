"""traffic: the window to judge: production examples through the champion, shifted where asked, or out of the log."""

from functools import partial
from typing import Any

from closedloop.config import Params
from closedloop.errors import RegistryError
from closedloop.files import read_json
from closedloop.paths import Paths
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    from closedloop.monitoring.wording import left_out_in_words, rows_in_words

    facts = _from_log(params, paths) if params.traffic.source == "log" else _from_examples(params, paths)
    left_out = left_out_in_words(facts)
    print(f"{rows_in_words(facts)}, version {facts['version']}" + (f"; {left_out}" if left_out else ""))


def _from_log(params: Params, paths: Paths) -> dict[str, Any]:
    from closedloop.monitoring.log_window import collect, load_answering
    from closedloop.prediction_log.store import open_log

    return collect(params, paths, open_log(params), partial(load_answering, params))


def _from_examples(params: Params, paths: Paths) -> dict[str, Any]:
    from closedloop.monitoring.traffic import send
    from closedloop.registry.aliases import load_champion

    receipt = read_json(paths.report("registration.json"))
    if receipt["champion"] is None:
        raise RegistryError(
            f"no model of {params.task.name} is deployed, as the gate refused the first one: {receipt['reasons'][0]}. "
            f"Train a better one, lower that bound, or decide yourself: make promote VERSION={receipt['version']}"
        )
    champion, config = load_champion(params), params.traffic
    window = send(params, paths, champion)
    return {"rows": len(window), "version": champion.version, "scenario": config.scenario, "severity": config.severity}


if __name__ == "__main__":
    main()
