"""Start a training from what another one has learnt: the trunk, which is the network without its head."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from closedloop.config import Transfer
from closedloop.errors import ConfigError

HEAD = "head"
LISTED = 5  # differences that an error names


def trunk(network: nn.Module) -> list[nn.Module]:
    """The parts of a network below its head. Raises ConfigError for a network without one."""
    parts = dict(network.named_children())
    if HEAD not in parts or "features" not in parts:
        raise ConfigError(
            "transfer.weights: this network has no trunk that could be taken over; allowed with model.name cnn, "
            "cnn_gru and resnet; transfer=none does without"
        )
    return [part for name, part in parts.items() if name != HEAD]


def take_over(network: nn.Module, config: Transfer) -> int:
    """Load the trunk's weights in place, and freeze them if configured; return how many tensors were loaded.

    The head stays as it is. Raises ConfigError when the file is missing, broken, or of another trunk.
    """
    parts = trunk(network)
    own = {name: tensor for name, tensor in network.state_dict().items() if name.partition(".")[0] != HEAD}
    found = {name: tensor for name, tensor in _read(Path(config.weights)).items() if name.partition(".")[0] != HEAD}
    if differences := _differences(own, found):
        rest = f", and {len(differences) - LISTED} more" if len(differences) > LISTED else ""
        raise ConfigError(
            f"transfer.weights: {config.weights} is of another trunk than this model's: "
            f"{'; '.join(differences[:LISTED])}{rest}. Give both trainings the same model section but for its last "
            "layers, and images with the same number of channels"
        )
    network.load_state_dict(found, strict=False)
    if config.frozen:
        for part in parts:
            part.requires_grad_(False)
    return len(found)


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except FileNotFoundError:
        raise ConfigError(f"transfer.weights: {file} is not there; train the task that writes it first") from None
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"transfer.weights: {file} is no readable safetensors file ({error})") from None


def _differences(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What keeps one trunk from being the other, a sentence a tensor."""
    shapes = [{name: tuple(tensor.shape) for name, tensor in each.items()} for each in (own, found)]
    return [
        f"{name} is {shapes[0].get(name, 'absent')} here and {shapes[1].get(name, 'absent')} there"
        for name in sorted(own.keys() | found.keys())
        if shapes[0].get(name) != shapes[1].get(name)
    ]
