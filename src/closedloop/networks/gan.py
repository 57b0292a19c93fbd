"""A generator of images, and a discriminator that tells them from real ones."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from closedloop.networks.schema import GAN as Config

SLOPE = 0.2  # of leaky rectifiers below zero
SHRINKS = 4  # by which the first of the generator's maps is smaller than an image


class GAN(nn.Module):
    """Two networks that learn against each other, and the mean of the generator's weights over time.

    Goodfellow et al., "Generative adversarial nets", 2014; convolutions as in Radford, Metz and Chintala, "Unsupervised
    representation learning with deep convolutional generative adversarial networks", 2016. Images are -1 to 1.
    """

    def __init__(self, config: Config, noise: int, image: tuple[int, int, int]) -> None:
        """`image`: channels, height, width."""
        super().__init__()
        self.noise, self._averaging = noise, config.averaging
        self.generator = Generator(config, noise, image)
        self.discriminator = Discriminator(config, image)
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False)

    @torch.no_grad()
    def average(self, steps: int) -> None:
        """Move the mean of the generator's weights towards what they are now, after so many steps.

        Yazici et al., "The unusual effectiveness of averaging in GAN training", 2019.
        """
        keep = min(self._averaging, (1 + steps) / (10 + steps))  # the first ones, which know little, are soon forgotten
        for mean, weights in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(weights, 1 - keep)
        for kept, statistics in zip(self.averaged.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(statistics)

    def drawn(self, images: int, generator: torch.Generator | None = None) -> Tensor:
        """Noise for so many images."""
        device = self.generator.project.weight.device
        drawn = torch.randn(images, self.noise, generator=generator, device="cpu" if generator else device)
        return drawn.to(device)


class Generator(nn.Module):
    """Noise (N, noise) -> images (N, C, H, W): projected to small maps, which transposed convolutions double twice."""

    def __init__(self, config: Config, noise: int, image: tuple[int, int, int]) -> None:
        super().__init__()
        channels, self.height, self.width = image
        first, second, third = config.generator
        self.small = (first, -(-self.height // SHRINKS), -(-self.width // SHRINKS))
        size = first * self.small[1] * self.small[2]
        self.project = nn.Linear(noise, size, bias=False)
        self.normalise = nn.BatchNorm1d(size)
        self.grow = nn.Sequential(*_doubling(first, second), *_doubling(second, third))
        self.paint = nn.ConvTranspose2d(third, channels, 3, stride=1, padding=1)
        self.apply(_begin)

    def forward(self, noise: Tensor) -> Tensor:
        maps = F.leaky_relu(self.normalise(self.project(noise)), SLOPE).unflatten(1, self.small)
        images = self.paint(self.grow(maps.contiguous(memory_format=torch.channels_last)))
        return torch.tanh(images.float()[..., : self.height, : self.width])


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N, 1) that they are real."""

    def __init__(self, config: Config, image: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = image
        layers: list[nn.Module] = []
        for maps in config.discriminator:
            layers += [
                nn.Conv2d(channels, maps, 5, stride=2, padding=2),
                nn.LeakyReLU(SLOPE),
                nn.Dropout(config.dropout),
            ]
            channels, height, width = maps, -(-height // 2), -(-width // 2)
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, 1))
        self.apply(_begin)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images.contiguous(memory_format=torch.channels_last))
        return logits


def _doubling(channels: int, maps: int) -> list[nn.Module]:
    """A kernel that its stride divides, so that no checkerboard shows: Odena, Dumoulin and Olah, 2016."""
    grown = nn.ConvTranspose2d(channels, maps, 4, stride=2, padding=1, bias=False)
    return [grown, nn.BatchNorm2d(maps), nn.LeakyReLU(SLOPE)]


def _begin(module: nn.Module) -> None:
    """Small weights at the start, as Radford et al. advise."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=0.02)
