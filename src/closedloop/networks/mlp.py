"""A perceptron for tables, with embeddings for numbers and categories, and several members in one network."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from closedloop.networks.schema import MLP as Config

UNTRAINED = 2  # the codes of a missing and of a rare category: at zero, they say nothing until examples have them


class MLP(nn.Module):
    """Embedded columns through dense layers with ReLU and dropout; an ensemble that shares nearly all its weights.

    Numbers: periodic embeddings, Gorishniy et al., "On embeddings for numerical features in tabular deep learning",
    2022 (PLR). Members: each scales the inputs and outputs of shared layers by vectors of its own and has its own head,
    Wen et al., "BatchEnsemble", 2020; that members learn each by its own loss is from Gorishniy et al., "TabM", 2025.
    """

    def __init__(self, config: Config, numbers: int, cardinalities: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.numbers = PeriodicEmbeddings(numbers, config) if numbers else None
        self.categories = CategoryEmbeddings(cardinalities, config.category_width) if cardinalities else None
        width = numbers * config.number_width + len(cardinalities) * config.category_width
        self.layers = nn.ModuleList()
        for number, units in enumerate(config.hidden):
            self.layers.append(SharedLinear(width, units, config.members, signs=number == 0))
            width = units
        self.dropout = nn.Dropout(config.dropout)
        self.heads = nn.Parameter(_uniform(config.members, width, outputs, fan_in=width))
        self.head_biases = nn.Parameter(torch.zeros(config.members, outputs))
        self.members = config.members

    def forward(self, numbers: Tensor | None = None, categories: Tensor | None = None) -> Tensor:
        """Numbers (N, F) and codes of categories (N, C) -> each member's outputs (N, members, outputs)."""
        parts = []
        if self.numbers is not None and numbers is not None:
            parts.append(self.numbers(numbers))
        if self.categories is not None and categories is not None:
            parts.append(self.categories(categories))
        hidden = torch.cat(parts, dim=1)[:, None].expand(-1, self.members, -1)  # (N, members, width)
        for layer in self.layers:
            hidden = self.dropout(F.relu(layer(hidden)))
        outputs: Tensor = torch.einsum("nmi,mio->nmo", hidden, self.heads) + self.head_biases
        return outputs


class PeriodicEmbeddings(nn.Module):
    """Sines and cosines of learnt frequencies, then a linear layer and ReLU, each number's own."""

    def __init__(self, numbers: int, config: Config) -> None:
        super().__init__()
        waves = 2 * config.frequencies
        self.frequencies = nn.Parameter(torch.randn(numbers, config.frequencies) * config.frequency_scale)
        self.weights = nn.Parameter(_uniform(numbers, waves, config.number_width, fan_in=waves))
        self.biases = nn.Parameter(torch.zeros(numbers, config.number_width))

    def forward(self, numbers: Tensor) -> Tensor:
        """(N, F) -> (N, F * width)"""
        angles = 2 * math.pi * self.frequencies * numbers[:, :, None]
        waves = torch.cat([torch.cos(angles), torch.sin(angles)], dim=2)  # (N, F, 2 * frequencies)
        return F.relu(torch.einsum("nfi,fio->nfo", waves, self.weights) + self.biases).flatten(1)


class CategoryEmbeddings(nn.Module):
    """A vector for each code of each column, all in one table."""

    starts: Tensor

    def __init__(self, cardinalities: Sequence[int], width: int) -> None:
        super().__init__()
        starts = torch.tensor([sum(cardinalities[:column]) for column in range(len(cardinalities))])
        self.register_buffer("starts", starts, persistent=False)  # (C,)
        self.table = nn.Embedding(sum(cardinalities), width)
        nn.init.normal_(self.table.weight, std=width**-0.5)
        with torch.no_grad():
            for code in range(UNTRAINED):
                self.table.weight[starts + code] = 0

    def forward(self, codes: Tensor) -> Tensor:
        """(N, C) -> (N, C * width)"""
        embedded: Tensor = self.table(codes + self.starts)
        return embedded.flatten(1)


class SharedLinear(nn.Module):
    """A linear layer that all members share, between scales of their own; with `signs` they begin unlike each other."""

    def __init__(self, inputs: int, outputs: int, members: int, *, signs: bool) -> None:
        super().__init__()
        begin = (
            torch.randint(0, 2, (members, inputs)).float() * 2 - 1
            if signs and members > 1
            else torch.ones(members, inputs)
        )
        self.before = nn.Parameter(begin)
        self.weights = nn.Parameter(_uniform(inputs, outputs, fan_in=inputs))
        self.after = nn.Parameter(torch.ones(members, outputs))
        self.biases = nn.Parameter(_uniform(members, outputs, fan_in=inputs))

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, members, inputs) -> (N, members, outputs)"""
        mixed: Tensor = (hidden * self.before) @ self.weights
        scaled: Tensor = mixed * self.after + self.biases
        return scaled


def _uniform(*shape: int, fan_in: int) -> Tensor:
    drawn: Tensor = (torch.rand(*shape) * 2 - 1) * fan_in**-0.5
    return drawn
