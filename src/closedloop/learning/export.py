"""From a trained network to files that serve without torch."""

import logging
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from closedloop.files import atomic


class _Served(nn.Module):
    """The network with a softmax behind it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:  # the exporter follows a dict, not **inputs
        return torch.softmax(self.network(**inputs), dim=1)


def export_onnx(network: nn.Module, inputs: dict[str, Tensor], path: Path) -> None:
    """Write the network with a softmax behind it as ONNX; the batch size stays free. `inputs` is an example batch."""
    model = _Served(network).eval().cpu().float()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports that torchvision is absent
    with atomic(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (),
            temporary,
            # two examples: one alone would be taken for constant
            kwargs={"inputs": {name: tensor[:2].cpu() for name, tensor in inputs.items()}},
            input_names=list(inputs),
            output_names=["probabilities"],
            dynamic_shapes={"inputs": {name: {0: torch.export.Dim("batch")} for name in inputs}},
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
    answer: Tensor = _Served(network).eval().cpu().float()({name: tensor.cpu() for name, tensor in inputs.items()})
    return answer
