"""The residual network."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.learning.export import SupervisedServed, answers, export_onnx
from closedloop.learning.objectives import ClassObjective
from closedloop.networks.build import Input, build_network
from closedloop.networks.resnet import Block
from closedloop.networks.schema import ResNet
from closedloop.targets import Classes

OBJECTIVE = ClassObjective(Classes(("a", "b")), 0.0)  # the export asks it for no more than a softmax


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.integers(1, 3),
    st.sampled_from([(1, 8, 8), (1, 28, 28), (3, 33, 17), (1, 1, 1)]),
)
def test_any_configuration_maps_images_of_any_size_to_logits(
    widths: list[int], blocks: int, shape: tuple[int, int, int]
) -> None:
    config = ResNet(name="resnet", widths=widths, blocks=blocks)
    assert build_network(config, {"inputs": Input(shape)}, 7)(torch.rand(2, *shape)).shape == (2, 7)


def test_each_stage_but_the_first_halves_the_image() -> None:
    network = build_network(ResNet(name="resnet", widths=[2, 3, 4], blocks=2), {"inputs": Input((1, 28, 28))}, 10)
    sizes: list[tuple[int, ...]] = []
    for module in network.modules():
        if isinstance(module, Block):
            module.register_forward_hook(lambda _block, _inputs, output: sizes.append(tuple(output.shape[1:])))
    network(torch.rand(1, 1, 28, 28))
    assert sizes == [(2, 28, 28)] * 2 + [(3, 14, 14)] * 2 + [(4, 7, 7)] * 2


@pytest.mark.parametrize("training", [True, False])
def test_a_block_begins_as_its_shortcut(training: bool) -> None:
    block, images = Block(4, 4, 1).train(training), torch.rand(3, 4, 5, 5)
    assert torch.equal(block(images), images)  # no negative values, which the last activation would cut


def test_the_exported_network_answers_as_torch_does_for_any_number_of_images(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(ResNet(name="resnet", widths=[4, 8], blocks=1), {"inputs": Input((1, 8, 8))}, 5)
    for _ in range(3):  # statistics that differ from those at the start
        network(torch.randn(16, 1, 8, 8))
    inputs = {"inputs": torch.randn(9, 1, 8, 8)}
    export_onnx(SupervisedServed(network.eval(), OBJECTIVE, inputs), inputs, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for count in (1, 2, 9):
        some = {"inputs": inputs["inputs"][:count]}
        answer = session.run(None, {"inputs": some["inputs"].numpy()})[0]
        np.testing.assert_allclose(answer, answers(SupervisedServed(network, OBJECTIVE, some), some).numpy(), atol=1e-5)
