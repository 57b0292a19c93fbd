"""What networks are trained to, and what becomes of their outputs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from closedloop.learning.objectives import IntervalObjective, objective_of
from closedloop.targets import Classes, Number

TARGET = Number(mean=100.0, deviation=20.0, low=0.0, high=200.0, coverage=0.9)


@given(st.integers(1, 40), st.integers(1, 4), st.booleans())
def test_answers_can_be_answers_whatever_the_network_says(rows: int, members: int, numbers: bool) -> None:
    target = TARGET if numbers else Classes(("a", "b", "c"))
    objective = objective_of(target, 0.0)
    outputs = torch.randn(rows, members, objective.width) * 10
    answers = objective.answers(objective.combined(outputs))
    target.check_rows(answers.tolist())
    assert torch.equal(objective.combined(outputs[:, 0]), outputs[:, 0])


def test_the_loss_of_an_interval_is_least_at_mean_and_quantiles() -> None:
    torch.manual_seed(0)
    targets, objective = torch.randn(20_000).exp(), IntervalObjective(TARGET)
    best = torch.stack([targets.mean(), targets.quantile(0.05), targets.quantile(0.95)])
    least = float(objective.loss(best.expand(len(targets), 3), targets))
    for place in range(3):
        for step in (-0.1, 0.1):
            moved = best.clone()
            moved[place] += step
            assert float(objective.loss(moved.expand(len(targets), 3), targets)) > least


@pytest.mark.parametrize("guess", [0.0, 0.5, 3.0])
def test_calibrated_intervals_hold_their_share_of_new_examples_however_wrong_the_network_was(guess: float) -> None:
    torch.manual_seed(1)
    objective, held = IntervalObjective(TARGET), []
    for _ in range(200):
        targets = torch.randn(160)
        outputs = torch.tensor([0.0, -guess, guess]).expand(80, 3)
        known, new = targets[:80], targets[80:] * TARGET.deviation + TARGET.mean
        fitted = objective.calibrated(lambda outputs=outputs: objective.answers(outputs), known)
        answers = fitted.answers(outputs)
        held.append(((answers[:, 1] <= new) & (new <= answers[:, 2])).float().mean())
    assert 0.89 < float(torch.stack(held).mean()) < 0.93


def test_sums_are_in_the_unit_of_the_labels() -> None:
    objective = IntervalObjective(TARGET)
    sums = objective.sums(torch.tensor([[0.0, -1, 1], [1.0, -1, 1]]), torch.tensor([0.5, 1.0]))
    assert float(sums["mae"]) == pytest.approx(0.5 * 20)
