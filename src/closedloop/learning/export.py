"""From a trained network to files that serve without torch."""

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from closedloop.files import atomic


class _Served(nn.Module):
    """The network with a softmax behind it; it takes the inputs in the order of their names.

    By name, torch 2.13 exports no more than one of them.
    """

    def __init__(self, network: nn.Module, names: Iterable[str]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.softmax(self.network(**dict(zip(self.names, inputs, strict=True))), dim=1)


def export_onnx(network: nn.Module, inputs: dict[str, Tensor], path: Path) -> None:
    """Write the network with a softmax behind it as ONNX; the batch size stays free. `inputs` is an example batch."""
    model = _Served(network, inputs).eval().cpu().float()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports that torchvision is absent
    with atomic(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(tensor[:2].cpu() for tensor in inputs.values()),  # one alone would be taken for constant
            temporary,
            input_names=list(inputs),
            output_names=["probabilities"],
            dynamic_shapes={"inputs": tuple({0: torch.export.Dim("batch")} for _ in inputs)},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        exported = onnx.load(temporary)
        for node in exported.graph.node:  # stack traces with this machine's paths: not part of the model
            del node.metadata_props[:]
        del exported.graph.metadata_props[:], exported.metadata_props[:]
        onnx.save(exported, temporary)


@torch.no_grad()
def probabilities(network: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """torch's own answer in float32 on the CPU: what the exported model must reproduce."""
    answer: Tensor = _Served(network, inputs).eval().cpu().float()(*(tensor.cpu() for tensor in inputs.values()))
    return answer
