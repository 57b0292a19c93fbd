"""traffic: a window of production examples, shifted where asked, through the champion as loaded from the registry."""

from closedloop.config import Params
from closedloop.errors import RegistryError
from closedloop.files import read_json
from closedloop.paths import Paths
from closedloop.stage import stage


@stage
def main(params: Params, paths: Paths) -> None:
    from closedloop.monitoring.traffic import send
    from closedloop.registry.aliases import load_champion

    receipt = read_json(paths.report("registration.json"))
    if receipt["champion"] is None:
        raise RegistryError(
            f"no model of {params.task.name} is deployed, as the gate refused the first one: {receipt['reasons'][0]}. "
            f"Train a better one, lower that bound, or decide yourself: make promote VERSION={receipt['version']}"
        )
    champion = load_champion(params)
    window = send(params, paths, champion)
    config = params.traffic
    shifted = "as they are" if config.scenario == "none" else f"shifted by {config.scenario} {config.severity}"
    print(f"{len(window):,} production examples, {shifted}, through version {champion.version}")


if __name__ == "__main__":
    main()
