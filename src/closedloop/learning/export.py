"""From a trained network to files that serve without torch."""

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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

    def few(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """What an export is traced with; one row alone would be taken for constant."""
        return {name: tensor[:2].cpu() for name, tensor in inputs.items()}

    def dynamic(self) -> tuple[dict[int, Any], ...]:
        """Which dimensions of each input are free."""
        return tuple({0: torch.export.Dim("batch")} for _ in self.names)


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
    with atomic(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            model.example(model.few(inputs)),
            temporary,
            input_names=list(model.names),
            output_names=list(model.outputs),
            dynamic_shapes=_shapes(model),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        exported = onnx.load(temporary)
        for node in exported.graph.node:  # stack traces with this machine's paths: not part of the model
            del node.metadata_props[:]
        del exported.graph.metadata_props[:], exported.metadata_props[:]
        onnx.save(exported, temporary)


def _shapes(served: Served) -> Any:
    """As torch wants them: a tuple for each parameter of forward."""
    dynamic = served.dynamic()
    return {"inputs": dynamic} if isinstance(served, SupervisedServed) else dynamic


@torch.no_grad()
def answers(served: Served, inputs: dict[str, Tensor]) -> Tensor:
    """torch's own answers (N, width) in float32 on the CPU: what the exported model must reproduce."""
    model = served.eval().cpu().float()
    columns = [tensor.cpu().split(model.rows) for tensor in inputs.values()]
    batches = [dict(zip(inputs, batch, strict=True)) for batch in zip(*columns, strict=True)]
    found = [model(*model.example(batch)) for batch in batches]
    return torch.cat([one[0] if isinstance(one, tuple) else one for one in found])
