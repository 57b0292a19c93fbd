"""Networks by the name in model.name."""

from torch import nn

from closedloop.config import CNN as CNNConfig
from closedloop.networks.cnn import CNN


def build_network(config: CNNConfig, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The network of a configuration for inputs of a shape (without the batch)."""
    channels, height, width = input_shape
    return CNN(config, (channels, height, width), outputs)
