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


class Served(nn.Module):
    """A network with what makes answers (N, width) of its outputs; it takes its inputs in the order of `names`.

    By name, torch 2.13 exports no more than one of them.
    """

    names: tuple[str, ...]
    outputs: tuple[str, ...] = ("answers",)
    rows = 1024  # examples that are answered at once

    def example(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """What it takes, from a batch of inputs by name."""
        return tuple(inputs[name] for name in self.names)

    def export(self, example: tuple[Tensor, ...], path: Path) -> None:
        """Write it as ONNX."""
        batch = torch.export.Dim("batch")
        torch.onnx.export(
            self,
            example,
            path,
            input_names=list(self.names),
            output_names=list(self.outputs),
            dynamic_shapes={"inputs": tuple({0: batch} for _ in self.names)},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


class SupervisedServed(Served):
    """A network that maps inputs to outputs, which its objective reads."""

    def __init__(self, network: nn.Module, objective: Objective, names: Iterable[str]) -> None:
        super().__init__()
        self.network, self.objective, self.names = network, objective, tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs = self.network(**dict(zip(self.names, inputs, strict=True)))
        return self.objective.answers(self.objective.combined(outputs))


def export_onnx(served: Served, inputs: dict[str, Tensor], path: Path) -> None:
    """Write a network that answers as ONNX; the batch size stays free. `inputs` is an example batch."""
    model = served.eval().cpu().float()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports that torchvision is absent
    few = {name: tensor[:2].cpu() for name, tensor in inputs.items()}  # one alone would be taken for constant
    with atomic(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.export(model.example(few), temporary)
        exported = onnx.load(temporary)
        for node in exported.graph.node:  # stack traces with this machine's paths: not part of the model
            del node.metadata_props[:]
        del exported.graph.metadata_props[:], exported.metadata_props[:]
        onnx.save(exported, temporary)


@torch.no_grad()
def answers(served: Served, inputs: dict[str, Tensor]) -> Tensor:
    """torch's own answers (N, width) in float32 on the CPU: what the exported model must reproduce."""
    model = served.eval().cpu().float()
    columns = [tensor.cpu().split(model.rows) for tensor in inputs.values()]
    batches = [dict(zip(inputs, batch, strict=True)) for batch in zip(*columns, strict=True)]
    found = [model(*model.example(batch)) for batch in batches]
    return torch.cat([one[0] if isinstance(one, tuple) else one for one in found])
