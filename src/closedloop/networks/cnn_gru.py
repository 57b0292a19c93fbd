"""Convolutions over time and pitch, then a recurrent layer over time: for spectrograms."""

import torch
from torch import Tensor, nn

from closedloop.errors import ConfigError
from closedloop.networks.schema import CNNGRU as Config


class CNNGRU(nn.Module):
    """Convolutions that find what a sound is made of, a GRU that follows it through time, mean and maximum over time.

    GRU: Cho et al., 2014; in front of it convolutions, as in the CRNN of Choi et al., 2017.
    """

    def __init__(self, config: Config, input_shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        channels, bands, frames = input_shape
        layers: list[nn.Module] = []
        for number, filters in enumerate(config.filters):
            pool = (2, 2 if number < config.pooled_time else 1)
            # the normalisation's own shift makes a bias redundant
            layers.append(nn.Conv2d(channels, filters, config.kernel_size, padding="same", bias=False))
            # the maximum is the same before and behind the ReLU, which has a quarter of the work behind it
            layers += [nn.BatchNorm2d(filters), nn.MaxPool2d(pool), nn.ReLU()]
            channels, bands, frames = filters, bands // pool[0], frames // pool[1]
        if not bands or not frames:
            raise ConfigError(
                f"a spectrogram of {input_shape[1]} bands and {input_shape[2]} frames vanishes in "
                f"{len(config.filters)} poolings, {config.pooled_time} of them over time: set fewer model.filters or "
                "model.pooled_time, or more preprocess.features.mels or seconds"
            )
        self.features = nn.Sequential(*layers)
        self.between = nn.Dropout(config.dropout)
        self.recurrent = nn.GRU(channels * bands, config.hidden, batch_first=True, bidirectional=config.bidirectional)
        width = config.hidden * (2 if config.bidirectional else 1)
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(2 * width, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.features(inputs)  # (N, 1, mels, frames) -> (N, C, M, T)
        steps = features.permute(0, 3, 1, 2).flatten(2)  # (N, T, C * M)
        states, _ = self.recurrent(self.between(steps))  # (N, T, width)
        logits: Tensor = self.head(torch.cat([states.mean(dim=1), states.amax(dim=1)], dim=1))
        return logits
