"""The perceptron for tables."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.learning.export import SupervisedServed, answers, export_onnx
from closedloop.learning.objectives import ClassObjective
from closedloop.networks.build import Input, build_network
from closedloop.networks.mlp import MLP
from closedloop.networks.schema import MLP as Config
from closedloop.targets import Classes

OBJECTIVE = ClassObjective(Classes(("a", "b")), 0.0)  # the export asks it for no more than a softmax


def network(numbers: int = 3, cardinalities: tuple[int, ...] = (4, 5), outputs: int = 2, **options: object) -> MLP:
    config = Config(name="mlp", hidden=[16, 8], frequencies=4, **options)  # type: ignore[arg-type]
    inputs = {"numbers": Input((numbers,))} if numbers else {}
    inputs |= {"categories": Input((len(cardinalities),), cardinalities)} if cardinalities else {}
    built = build_network(config, inputs, outputs)
    assert isinstance(built, MLP)
    return built


def batch(rows: int, numbers: int = 3, cardinalities: tuple[int, ...] = (4, 5)) -> dict[str, torch.Tensor]:
    found = (
        {"categories": torch.stack([torch.arange(rows) % size for size in cardinalities], 1)} if cardinalities else {}
    )
    return found | ({"numbers": torch.randn(rows, numbers)} if numbers else {})


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 3), st.lists(st.integers(2, 6), max_size=3), st.integers(2, 4), st.integers(1, 5))
def test_members_learn_apart_and_answer_together(numbers: int, sizes: list[int], outputs: int, members: int) -> None:
    if not numbers and not sizes:
        return
    built = network(numbers, tuple(sizes), outputs, members=members, dropout=0)
    inputs = batch(6, numbers, tuple(sizes))
    apart = built(**inputs)
    assert apart.shape == (6, members, outputs)
    together = OBJECTIVE.answers(OBJECTIVE.combined(apart))
    torch.testing.assert_close(together, torch.softmax(apart, dim=2).mean(dim=1))


def test_members_begin_unlike_each_other() -> None:
    apart = network(members=4, dropout=0).train()(**batch(5))
    assert len({tuple(apart[:, member].flatten().tolist()) for member in range(4)}) == 4


def test_what_no_example_has_says_nothing() -> None:
    table = network().categories
    assert table is not None
    codes = torch.tensor([[0, 0], [1, 1], [2, 2]])
    embedded = table(codes)
    assert not embedded[:2].any() and embedded[2].all()


@pytest.mark.parametrize(("numbers", "sizes"), [(3, (4, 5)), (3, ()), (0, (4, 5))])
def test_onnx_says_what_torch_says_at_any_batch_size(numbers: int, sizes: tuple[int, ...], tmp_path: Path) -> None:
    built = network(numbers, sizes, members=3)
    export_onnx(
        SupervisedServed(built, OBJECTIVE, batch(4, numbers, sizes)), batch(4, numbers, sizes), tmp_path / "model.onnx"
    )
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for rows in (1, 7):
        inputs = batch(rows, numbers, sizes)
        answer = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})[0]
        torch.testing.assert_close(
            torch.from_numpy(answer), answers(SupervisedServed(built, OBJECTIVE, inputs), inputs), atol=1e-6, rtol=0
        )
