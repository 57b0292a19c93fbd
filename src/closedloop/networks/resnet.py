"""A residual network for small images."""

from torch import Tensor, nn
from torch.nn import functional as F

from closedloop.networks.schema import ResNet as Config


class ResNet(nn.Module):
    """Stages of residual blocks, the mean over all places, one linear layer.

    He et al., "Deep residual learning for image recognition", 2016, with the stem that its section 4.2 has for small
    images: one 3x3 convolution without stride or pooling.
    """

    def __init__(self, config: Config, channels: int, outputs: int) -> None:
        super().__init__()
        width = config.widths[0]
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        for stage, filters in enumerate(config.widths):
            for number in range(config.blocks):
                layers.append(Block(width, filters, stride=2 if stage and not number else 1))
                width = filters
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(width, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(inputs))  # (N, C, H, W) -> (N, outputs)
        return logits


class Block(nn.Module):
    """Two convolutions beside a shortcut, which is the identity where sizes allow it and a projection elsewhere.

    The last normalisation begins at zero, so that the block begins as its shortcut (Goyal et al., 2017, section 5.1).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(outputs)
        nn.init.zeros_(last.weight)
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            last,
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return F.relu(self.residual(inputs) + self.shortcut(inputs))
