"""What each kind of target is learnt by, and how the network is served afterwards."""

from collections.abc import Callable, Iterable
from typing import Protocol, cast

from torch import Tensor, nn

from closedloop.config import Params
from closedloop.learning.export import Served, SupervisedServed, answers
from closedloop.learning.objectives import objective_of
from closedloop.learning.recurrent import RecurrentModule, RecurrentServed
from closedloop.learning.supervised import EpochModule, SupervisedModule
from closedloop.networks.char_lstm import CharLSTM
from closedloop.networks.schema import CharLSTM as Config
from closedloop.targets import Target, Text

Log = Callable[[dict[str, float], int], None]
Tensors = dict[str, Tensor]


class Learner(Protocol):
    """One way of learning."""

    @property
    def width(self) -> int:
        """Of the network's last layer."""

    @property
    def steps(self) -> int:
        """Into pieces of how many steps training examples are cut; 0: they stay whole."""

    def module(self, network: nn.Module, log: Log, frozen: Iterable[nn.Module]) -> EpochModule: ...

    def served(self, network: nn.Module, inputs: Tensors, targets: Tensor) -> Served:
        """The trained network as it answers; inputs and targets are of examples that it has not been trained on."""


def learner_of(target: Target, params: Params, passage: int) -> Learner:
    """The learner of a target; `passage` is how many steps a training example has."""
    if isinstance(target, Text) and isinstance(params.model, Config):
        return Recurrent(target, params, params.model.steps, passage)
    return Supervised(target, params)


class Supervised:
    """Learns from the label of each example."""

    steps = 0

    def __init__(self, target: Target, params: Params) -> None:
        self._params, self._objective = params, objective_of(target, params.trainer.label_smoothing)
        self.width = self._objective.width

    def module(self, network: nn.Module, log: Log, frozen: Iterable[nn.Module]) -> EpochModule:
        return SupervisedModule(network, self._objective, self._params, log, frozen)

    def served(self, network: nn.Module, inputs: Tensors, targets: Tensor) -> Served:
        as_it_is = SupervisedServed(network, self._objective, inputs)
        calibrated = self._objective.calibrated(lambda: answers(as_it_is, inputs), targets)
        return SupervisedServed(network, calibrated, inputs)


class Recurrent:
    """Learns from each character what the next one is."""

    def __init__(self, target: Text, params: Params, steps: int, passage: int) -> None:
        self.width, self.steps, self._params = target.characters, steps, params
        self._pieces = -(-passage // steps)

    def module(self, network: nn.Module, log: Log, frozen: Iterable[nn.Module]) -> EpochModule:
        return RecurrentModule(network, self._params, log, frozen, pieces=self._pieces)

    def served(self, network: nn.Module, _inputs: Tensors, _targets: Tensor) -> Served:
        return RecurrentServed(cast("CharLSTM", network))
