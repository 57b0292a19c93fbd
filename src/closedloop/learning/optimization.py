"""Optimizers and learning-rate schedules from the configuration."""

import math

import torch
from torch import nn

from closedloop.config import Optimizer, Scheduler


def build_optimizer(network: nn.Module, config: Optimizer) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) or SGD with Nesterov momentum.

    Biases and normalisation parameters are not decayed: they do not add to the complexity of the function.
    """
    weights = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=(config.momentum, 0.999))
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)


def build_scheduler(
    optimizer: torch.optim.Optimizer, config: Scheduler, steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """A factor on the learning rate for each of `steps` optimizer steps."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps, config))


def lr_factor(step: int, steps: int, config: Scheduler) -> float:
    """The learning rate at a step, as a share of its peak.

    one_cycle: cosine from 1/25 to 1 over the warm-up, then cosine to 1e-4 / 25 (Smith and Topin, 2018).
    cosine: linear warm-up, then cosine to 0 (Loshchilov and Hutter, 2017). constant: 1 throughout.
    """
    if config.name == "constant":
        return 1.0
    warmup = config.warmup_share * steps
    if step < warmup:
        if config.name == "cosine":
            return (step + 1) / (warmup + 1)
        return _cosine(1 / 25, 1.0, step / warmup)
    floor = 1e-4 / 25 if config.name == "one_cycle" else 0.0
    return _cosine(1.0, floor, min(1.0, (step - warmup) / max(1.0, steps - warmup)))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
