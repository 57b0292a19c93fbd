"""From a trained network to files that serve without torch."""

import logging
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from closedloop.files import atomic


def export_onnx(network: nn.Module, inputs: Tensor, path: Path) -> None:
    """Write the network with a softmax behind it as ONNX; the batch size stays free. `inputs` is an example batch."""
    model = nn.Sequential(network, nn.Softmax(dim=1)).eval().cpu().float()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports that torchvision is absent
    with atomic(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (inputs[:2].cpu().float(),),  # a batch of one would be taken for a constant
            temporary,
            input_names=["inputs"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
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
def probabilities(network: nn.Module, inputs: Tensor) -> Tensor:
    """torch's own answer in float32 on the CPU: what the exported model must reproduce."""
    answer: Tensor = nn.Sequential(network, nn.Softmax(dim=1)).eval().cpu().float()(inputs.cpu().float())
    return answer
