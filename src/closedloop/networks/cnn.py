"""The classic convolutional network for small images."""

import torch
from torch import Tensor, nn

from closedloop.errors import ConfigError
from closedloop.networks.schema import CNN as Config


class CNN(nn.Module):
    """Convolutions with ReLU, max-pooling after the first ones, dense layers, one logit a class.

    LeCun et al., "Gradient-based learning applied to document recognition", 1998, with ReLU, batch normalisation
    (Ioffe and Szegedy, 2015) and dropout (Srivastava et al., 2014).
    """

    def __init__(self, config: Config, input_shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        channels = input_shape[0]
        padding = config.padding
        if padding == "auto":
            padding = "same" if _vanishes(min(input_shape[1:]), config) else "valid"
        layers: list[nn.Module] = []
        for number, filters in enumerate(config.filters):
            normalised = config.normalisation == "batch"
            # the normalisation's own shift makes a bias redundant
            layers.append(nn.Conv2d(channels, filters, config.kernel_size, padding=padding, bias=not normalised))
            if normalised:
                layers.append(nn.BatchNorm2d(filters))
            layers.append(nn.ReLU())
            if number < config.pooled_layers:
                layers.append(nn.MaxPool2d(2))
            channels = filters
        self.features = nn.Sequential(*layers, nn.Flatten())
        width = self._flat_width(input_shape, config)
        head: list[nn.Module] = []
        for units in config.dense:
            head += [nn.Dropout(config.dropout), nn.Linear(width, units), nn.ReLU()]
            width = units
        self.head = nn.Sequential(*head, nn.Dropout(config.dropout), nn.Linear(width, outputs))

    def _flat_width(self, input_shape: tuple[int, int, int], config: Config) -> int:
        try:
            with torch.no_grad():
                return int(self.features.eval()(torch.zeros(1, *input_shape)).shape[1])
        except RuntimeError:
            raise ConfigError(
                f"an image of {input_shape[1]}x{input_shape[2]} vanishes in {len(config.filters)} convolutions of size "
                f"{config.kernel_size} with {config.pooled_layers} poolings: set model.padding=same, "
                "or fewer model.filters or model.pooled_layers"
            ) from None
        finally:
            self.features.train()

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(inputs))  # (N, C, H, W) -> (N, outputs)
        return logits


def _vanishes(side: int, config: Config) -> bool:
    """Whether nothing is left of an image of this height or width after all convolutions without padding."""
    for number in range(len(config.filters)):
        side -= config.kernel_size - 1
        side = side // 2 if number < config.pooled_layers else side
        if side < 1:
            return True
    return False
