"""Learning-rate schedules and parameter groups."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from closedloop.config import Optimizer, Scheduler
from closedloop.learning.optimization import build_optimizer, lr_factor


@given(st.sampled_from(["one_cycle", "cosine", "constant"]), st.integers(2, 500), st.floats(0, 0.9))
def test_the_rate_stays_between_zero_and_its_peak(name: str, steps: int, warmup: float) -> None:
    config = Scheduler(name=name, warmup_share=warmup)
    factors = [lr_factor(step, steps, config) for step in range(steps + 1)]
    assert all(0 <= factor <= 1 + 1e-9 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


def test_one_cycle_follows_the_reference_implementation() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=101, pct_start=0.3)
    rates = []
    for _ in range(100):
        rates.append(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()
    ours = [lr_factor(step, 100, Scheduler(name="one_cycle", warmup_share=0.3)) for step in range(100)]
    # torch counts its phases from step to step - 1: the two differ by less than a step
    assert max(abs(a - b) for a, b in zip(rates, ours, strict=True)) < 0.03


def test_biases_and_normalisation_are_not_decayed() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = build_optimizer(network, Optimizer(name="adamw", lr=0.1, weight_decay=0.5))
    decayed = [p for group in optimizer.param_groups if group["weight_decay"] > 0 for p in group["params"]]
    assert {tuple(p.shape) for p in decayed} == {(4, 1, 3, 3), (2, 4)}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(network.parameters()))
