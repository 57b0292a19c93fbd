"""What each kind of target is learnt by, and how the network is served afterwards."""

from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from torch import Tensor, nn

from closedloop.config import Params
from closedloop.learning.adversarial import NOISE, AdversarialModule, GeneratorServed
from closedloop.learning.export import Served, SupervisedServed, answers
from closedloop.learning.objectives import ClassObjective, objective_of
from closedloop.learning.record import Record
from closedloop.learning.recurrent import RecurrentModule, RecurrentServed
from closedloop.learning.reinforcement import PolicyGradient, QLearning
from closedloop.learning.supervised import EpochModule, SupervisedModule
from closedloop.networks.build import Input
from closedloop.networks.char_lstm import CharLSTM
from closedloop.networks.gan import GAN
from closedloop.networks.schema import CharLSTM as Config
from closedloop.networks.schema import Policy
from closedloop.targets import Action, Image, Target, Text
from closedloop.tasks.schema import Noise

Tensors = dict[str, Tensor]


class Learner(Protocol):
    """One way of learning."""

    width: int  # of the network's last layer
    steps: int = 0  # into pieces of how many steps training examples are cut; 0: they stay whole
    exact: bool = False  # it computes in float32, whatever trainer.precision says

    def inputs(self, found: Mapping[str, Input]) -> Mapping[str, Input]:
        """What the network takes, from what the training examples hold."""
        return found

    def module(self, network: nn.Module, record: Record, frozen: Iterable[nn.Module]) -> EpochModule: ...

    def served(self, network: nn.Module, inputs: Tensors, targets: Tensor) -> Served:
        """The trained network as it answers; inputs and targets are of examples that it has not been trained on."""


def learner_of(target: Target, params: Params, passage: int) -> Learner:
    """The learner of a target; `passage` is how many steps a training example has."""
    if isinstance(target, Text) and isinstance(params.model, Config):
        return Recurrent(target, params, params.model.steps, passage)
    if isinstance(target, Action):
        return Reinforcement(target, params)
    if isinstance(target, Image):
        return Adversarial(params)
    return Supervised(target, params)


class Supervised(Learner):
    """Learns from the label of each example."""

    def __init__(self, target: Target, params: Params) -> None:
        self._params, self._objective = params, objective_of(target, params.trainer.label_smoothing)
        self.width = self._objective.width

    def module(self, network: nn.Module, record: Record, frozen: Iterable[nn.Module]) -> EpochModule:
        return SupervisedModule(network, self._objective, self._params, record, frozen)

    def served(self, network: nn.Module, inputs: Tensors, targets: Tensor) -> Served:
        as_it_is = SupervisedServed(network, self._objective, inputs)
        calibrated = self._objective.calibrated(lambda: answers(as_it_is, inputs), targets)
        return SupervisedServed(network, calibrated, inputs)


class Recurrent(Learner):
    """Learns from each character what the next one is."""

    def __init__(self, target: Text, params: Params, steps: int, passage: int) -> None:
        self.width, self.steps, self._params = target.characters, steps, params
        self._pieces = -(-passage // steps)

    def module(self, network: nn.Module, record: Record, frozen: Iterable[nn.Module]) -> EpochModule:
        return RecurrentModule(network, self._params, record, frozen, pieces=self._pieces)

    def served(self, network: nn.Module, _inputs: Tensors, _targets: Tensor) -> Served:
        return RecurrentServed(cast("CharLSTM", network))


class Adversarial(Learner):
    """Learns to make images against a network that tells them from real ones."""

    width = 1

    def __init__(self, params: Params) -> None:
        self._params = params
        self._noise = cast("Noise", params.preprocess.features).size

    def inputs(self, found: Mapping[str, Input]) -> Mapping[str, Input]:
        return {**found, NOISE: Input((self._noise,))}

    def module(self, network: nn.Module, record: Record, frozen: Iterable[nn.Module]) -> EpochModule:
        return AdversarialModule(network, self._params, record, frozen)

    def served(self, network: nn.Module, _inputs: Tensors, _targets: Tensor) -> Served:
        return GeneratorServed(cast("GAN", network))


class Reinforcement(Learner):
    """Learns what to do from what comes of it."""

    # Values of 64 to 128 are 0.5 apart in bf16: actions tie that differ, and another policy would act, be judged and
    # be chosen in training than the one that is served
    exact = True

    def __init__(self, target: Action, params: Params) -> None:
        self.width, self._target, self._params = target.width, target, params

    def module(self, network: nn.Module, record: Record, frozen: Iterable[nn.Module]) -> EpochModule:
        by_values = cast("Policy", self._params.model).algorithm == "dqn"
        return (QLearning if by_values else PolicyGradient)(network, self._params, record, frozen)

    def served(self, network: nn.Module, inputs: Tensors, _targets: Tensor) -> Served:
        return SupervisedServed(network, ClassObjective(self._target, 0.0), inputs)
