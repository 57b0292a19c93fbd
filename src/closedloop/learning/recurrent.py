"""Learning how a text goes on: truncated backpropagation through time, and the model that is served."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from closedloop.config import Params
from closedloop.data.datamodule import Batch
from closedloop.data.tensors import TARGETS
from closedloop.learning.export import Served
from closedloop.learning.record import Record
from closedloop.learning.supervised import EpochModule
from closedloop.networks.char_lstm import CharLSTM, State
from closedloop.targets.text import NEXT

TOKENS, STATE = "tokens", ("hidden", "cell")
OPSET = 18


class RecurrentModule(EpochModule):
    """Batches come as pieces of the same passages, one after the other; the state goes on from piece to piece.

    The gradient goes back to the beginning of a piece: Williams and Peng, 1990.
    """

    def __init__(
        self,
        network: nn.Module,
        params: Params,
        record: Record,
        frozen: Iterable[nn.Module] = (),
        *,
        pieces: int,
    ) -> None:
        """`pieces`: into how many each training passage is cut."""
        super().__init__(network, params, record, frozen)
        self._pieces = pieces
        self._state: State = network.start(0)  # type: ignore[operator]  # the network is a CharLSTM: see `_network`

    def training_step(self, batch: Batch, index: int) -> Tensor:
        tokens, targets = batch[TOKENS], batch[TARGETS]
        state = self._network.start(len(tokens)) if index % self._pieces == 0 else self._state
        logits, hidden, cell = self._network(tokens, *state)
        self._state = (hidden.detach(), cell.detach())
        loss = nats(logits, targets).mean()
        self._add(
            "train", {"loss": loss.detach() * targets.numel(), **_sums(logits.detach(), targets)}, targets.numel()
        )
        return loss

    def validation_step(self, batch: Batch, _index: int) -> None:
        tokens, targets = batch[TOKENS], batch[TARGETS]
        logits, _, _ = self._network(tokens, *self._network.start(len(tokens)))
        self._add("val", {"loss": nats(logits, targets).sum(), **_sums(logits, targets)}, targets.numel())

    @property
    def _network(self) -> CharLSTM:
        return self.network  # type: ignore[return-value]


class RecurrentServed(Served):
    """The network as it is exported: the mean surprise at the next characters, and logits and state to go on from."""

    names = (TOKENS, NEXT, *STATE)
    rows = 32  # examples that are answered at once: all their steps are kept
    outputs = ("answers", "logits", *(f"{name}_after" for name in STATE))

    def __init__(self, network: CharLSTM) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, tokens: Tensor, following: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits, hidden, cell = self.network(tokens, hidden, cell)
        return nats(logits, following).mean(dim=1, keepdim=True), logits, hidden, cell

    def example(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """An example of what it takes, each a tensor of its own: torch takes equal ones for the same."""
        start = self.network.start(len(inputs[TOKENS]))
        return inputs[TOKENS], inputs[NEXT].clone(), start[0], start[1].clone()

    def export(self, example: tuple[Tensor, ...], path: Path) -> None:
        """By torch's older exporter: the newer one (2.13) takes the number of an LSTM's steps for constant."""
        free = {name: {0: "batch", 1: "steps"} for name in (TOKENS, NEXT, "logits")}
        free |= {name: {0: "batch"} for name in (*STATE, *self.outputs) if name not in free}
        torch.onnx.export(
            self,
            example,
            path,
            input_names=list(self.names),
            output_names=list(self.outputs),
            dynamic_axes=free,
            dynamo=False,
            opset_version=OPSET,
        )


def nats(logits: Tensor, following: Tensor) -> Tensor:
    """The surprise at each next character, (N, steps, characters) and (N, steps) -> (N, steps)."""
    logarithms = F.log_softmax(logits.float(), dim=2)
    return -logarithms.gather(2, following.long()[:, :, None]).squeeze(2)


def _sums(logits: Tensor, following: Tensor) -> dict[str, Tensor]:
    """In how many places the most probable character came."""
    return {"accuracy": (logits.argmax(dim=2) == following).sum().float()}
