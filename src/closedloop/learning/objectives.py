"""What a network is trained to for each kind of target, and what its outputs mean."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from closedloop.targets import Number, Target


class Objective(Protocol):
    """`outputs` are the network's, (N, K) or (N, members, K) with K = `width`; targets are as a Target encodes them."""

    @property
    def width(self) -> int: ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over examples and members, each of which learns by its own loss."""

    def combined(self, outputs: Tensor) -> Tensor:
        """The outputs of all members as those of one, (N, K)."""

    def sums(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Sums over examples of the loss and of what a person wants to see, from outputs (N, K)."""

    def answers(self, outputs: Tensor) -> Tensor:
        """The rows that are answered with, from outputs (N, K); traceable, as it goes into the exported model."""

    def calibrated(self, answered: Callable[[], Tensor], targets: Tensor) -> Self:
        """The objective whose answers say what they mean, by those to examples that have not been trained on."""


def objective_of(target: Target, label_smoothing: float) -> Objective:
    """The objective of a target that says something of each example."""
    return IntervalObjective(target) if isinstance(target, Number) else ClassObjective(target, label_smoothing)


@dataclass(frozen=True)
class ClassObjective:
    """Cross-entropy; answers are probabilities."""

    target: Target
    label_smoothing: float

    @property
    def width(self) -> int:
        return self.target.width

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        members = _members(outputs)
        each = targets[:, None].expand(members.shape[:2])
        return F.cross_entropy(members.flatten(0, 1), each.flatten(), label_smoothing=self.label_smoothing)

    def combined(self, outputs: Tensor) -> Tensor:
        """The logarithms of the members' mean probabilities."""
        if outputs.ndim == 2:
            return outputs
        return torch.logsumexp(torch.log_softmax(outputs, dim=2), dim=1) - math.log(outputs.shape[1])

    def sums(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        loss = F.cross_entropy(outputs.float(), targets, reduction="sum")
        return {"loss": loss, "accuracy": (outputs.argmax(dim=1) == targets).sum()}

    def answers(self, outputs: Tensor) -> Tensor:
        return torch.softmax(outputs, dim=1)

    def calibrated(self, answered: Callable[[], Tensor], targets: Tensor) -> Self:  # noqa: ARG002
        return self


@dataclass(frozen=True)
class IntervalObjective:
    """The mean by its squared error, and the two ends of an interval by their pinball losses (Koenker, Bassett 1978).

    `margin`, in deviations of the target, widens the interval so that it holds the configured share of examples which
    the network has not been trained on: conformalised quantile regression, Romano, Patterson and Candes, 2019.
    """

    target: Number
    margin: float = 0.0

    @property
    def width(self) -> int:
        return self.target.width

    @property
    def _tail(self) -> float:
        return (1 - self.target.coverage) / 2

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        members = _members(outputs)
        return self._losses(members, targets[:, None].expand(members.shape[:2])).mean()

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(…, 3) and (…) -> (…)"""
        value, low, high = (outputs[..., place].float() for place in range(3))
        squared = (value - targets) ** 2
        return squared + _pinball(targets - low, self._tail) + _pinball(targets - high, 1 - self._tail)

    def combined(self, outputs: Tensor) -> Tensor:
        return outputs if outputs.ndim == 2 else outputs.mean(dim=1)

    def sums(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The absolute error is in the unit of the labels."""
        error = (outputs[:, 0].float() - targets).abs().sum() * self.target.deviation
        return {"loss": self._losses(outputs, targets).sum(), "mae": error}

    def answers(self, outputs: Tensor) -> Tensor:
        """Value, low and high in the unit of the labels; the interval holds the value, also where quantiles cross."""
        value = outputs[:, 0]
        low = torch.minimum(outputs[:, 1] - self.margin, value)
        high = torch.maximum(outputs[:, 2] + self.margin, value)
        return torch.stack([value, low, high], dim=1) * self.target.deviation + self.target.mean

    def calibrated(self, answered: Callable[[], Tensor], targets: Tensor) -> Self:
        """The answers are without a margin. With n examples, its rank is ceil((n + 1) coverage) of n."""
        answers = answered()
        low, high = ((answers[:, place] - self.target.mean) / self.target.deviation for place in (1, 2))
        beyond = torch.maximum(low - targets, targets - high).sort().values
        rank = min(len(beyond), math.ceil((len(beyond) + 1) * self.target.coverage))
        return replace(self, margin=float(beyond[rank - 1]))


def _members(outputs: Tensor) -> Tensor:
    """(N, K) or (N, members, K) -> (N, members, K)"""
    return outputs if outputs.ndim == 3 else outputs[:, None]


def _pinball(excess: Tensor, quantile: float) -> Tensor:
    return torch.maximum(quantile * excess, (quantile - 1) * excess)
