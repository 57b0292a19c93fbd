"""From a trained network to files that serve without torch."""

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from closedloop.errors import TrainingError
from closedloop.files import atomic
from closedloop.learning.objectives import Objective

MOST_DIFFERENT = 1e-3  # between torch and ONNX Runtime, as a share of the largest value


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

    def asked(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """What it takes to answer a batch of inputs by name, and nothing else."""
        return self.example(inputs)

    def export(self, example: tuple[Tensor, ...], path: Path) -> None:
        """Write it as ONNX."""
        torch.onnx.export(
            self,
            example,
            path,
            input_names=list(self.names),
            output_names=list(self.outputs),
            dynamic_shapes=self._free_sizes(),
            dynamo=True,
            external_data=False,
            verbose=False,
        )

    def _free_sizes(self) -> dict[str, object]:
        batch = torch.export.Dim("batch")
        return {"inputs": tuple({0: batch} for _ in self.names)}


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
    example = model.example(few)
    with atomic(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.export(example, temporary)
        exported = onnx.load(temporary)
        for node in exported.graph.node:  # stack traces with this machine's paths: not part of the model
            del node.metadata_props[:]
        del exported.graph.metadata_props[:], exported.metadata_props[:]
        onnx.save(exported, temporary)
        _require_same(model, example, temporary)


@torch.no_grad()
def _require_same(served: Served, example: tuple[Tensor, ...], path: Path) -> None:
    """All that it puts out, what it makes and what it remembers among it: the gate sees its answers alone.

    Raises TrainingError where the file does not compute what the network does.
    """
    import onnxruntime

    expected = served(*example)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = {name: tensor.numpy() for name, tensor in zip(served.names, example, strict=True)}
    outputs = session.run(list(served.outputs), fed)
    for name, found, told in zip(
        served.outputs, outputs, expected if isinstance(expected, tuple) else (expected,), strict=True
    ):
        error = float(np.abs(found - told.numpy()).max() / max(1.0, float(told.abs().max())))
        if not error <= MOST_DIFFERENT:
            raise TrainingError(
                f"{name} of the exported model differs from torch's by {error:.2g} of the largest value"
            )


@torch.no_grad()
def answers(served: Served, inputs: dict[str, Tensor]) -> Tensor:
    """torch's own answers (N, width) in float32 on the CPU: what the exported model must reproduce."""
    model = served.eval().cpu().float()
    columns = [tensor.cpu().split(model.rows) for tensor in inputs.values()]
    batches = [dict(zip(inputs, batch, strict=True)) for batch in zip(*columns, strict=True)]
    found = [model(*model.asked(batch)) for batch in batches]
    return torch.cat([one[0] if isinstance(one, tuple) else one for one in found])
