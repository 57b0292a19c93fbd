"""From a trained network to files that serve without torch."""

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from closedloop.files import atomic
from closedloop.learning.objectives import Objective

BATCH = 1024  # examples that are answered at once


class _Served(nn.Module):
    """The network with what makes answers of its outputs; it takes the inputs in the order of their names.

    By name, torch 2.13 exports no more than one of them.
    """

    def __init__(self, network: nn.Module, objective: Objective, names: Iterable[str]) -> None:
        super().__init__()
        self.network, self.objective, self.names = network, objective, tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs = self.network(**dict(zip(self.names, inputs, strict=True)))
        return self.objective.answers(self.objective.combined(outputs))


def export_onnx(network: nn.Module, objective: Objective, inputs: dict[str, Tensor], path: Path) -> None:
    """Write the network that answers as ONNX; the batch size stays free. `inputs` is an example batch."""
    model = _Served(network, objective, inputs).eval().cpu().float()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports that torchvision is absent
    with atomic(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(tensor[:2].cpu() for tensor in inputs.values()),  # one alone would be taken for constant
            temporary,
            input_names=list(inputs),
            output_names=["answers"],
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
def answers(network: nn.Module, objective: Objective, inputs: dict[str, Tensor]) -> Tensor:
    """torch's own answers (N, width) in float32 on the CPU: what the exported model must reproduce."""
    served = _Served(network, objective, inputs).eval().cpu().float()
    columns = [tensor.cpu().split(BATCH) for tensor in inputs.values()]
    return torch.cat([served(*batch) for batch in zip(*columns, strict=True)])
