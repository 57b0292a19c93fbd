"""What an agent knows: which action to take, and what an observation is worth."""

import torch
from torch import Tensor, nn

from closedloop.networks.schema import Policy as Config


class Policy(nn.Module):
    """Observations (N, K) -> a figure for each action (N, actions): a logit, or in Q-learning the return to expect.

    `value` tells what return is to be expected from an observation, (N,). Both bring observations to scale first.
    """

    scale: Tensor

    def __init__(self, config: Config, scale: tuple[float, ...], actions: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))
        # returns of Q-learning are counted in steps, and go up to the number of them that the discount lets count
        self.unit = 1 / (1 - config.discount) if config.algorithm == "dqn" else 1.0
        self.choose = _perceptron(len(scale), config.hidden, actions)
        self.judge = _perceptron(len(scale), config.hidden, 1)

    def forward(self, observation: Tensor) -> Tensor:
        figures: Tensor = self.choose(observation / self.scale) * self.unit
        return figures

    def value(self, observation: Tensor) -> Tensor:
        worth: Tensor = self.judge(observation / self.scale)
        return worth.squeeze(-1)


def _perceptron(inputs: int, hidden: list[int], outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.Tanh()]
        inputs = width
    last = nn.Linear(inputs, outputs)
    nn.init.normal_(last.weight, std=0.01)  # nothing is preferred at the start
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
