"""Learning what to do from what comes of it: Q-learning, REINFORCE with a baseline, and actor-critic."""

import copy
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from closedloop.config import Params
from closedloop.data.datamodule import Batch
from closedloop.learning.optimization import build_optimizer, build_scheduler
from closedloop.learning.record import Record
from closedloop.learning.supervised import EpochModule
from closedloop.networks.policy import Policy
from closedloop.networks.schema import Policy as Config
from closedloop.tasks.control.cartpole import LIMIT, CartPoles
from closedloop.tasks.schema import Episodes

OBSERVATION = "observation"
VALUE_WEIGHT = 0.5  # of the loss of the values beside that of the choices


class ReinforcementModule(EpochModule):
    """A batch is where episodes begin; each is played to its end, all of them at the same time.

    Epochs are judged by episodes that no step was learnt from, played without chance: val/loss is the share of the
    longest possible return that they fall short of.
    """

    def __init__(self, network: nn.Module, params: Params, record: Record, frozen: Iterable[nn.Module] = ()) -> None:
        super().__init__(network, params, record, frozen)
        self.automatic_optimization = False
        self._config = cast("Config", params.model)
        self._physics = cast("Episodes", params.source.format)

    @abstractmethod
    def _learn(self, poles: CartPoles) -> Tensor:
        """Play episodes to their end and learn from them; return the mean loss."""

    def training_step(self, batch: Batch, _index: int) -> None:
        poles = self._poles(batch)
        loss = self._learn(poles)
        self._sum("train", loss, poles)
        cast("Any", self.lr_schedulers()).step()

    @torch.no_grad()
    def validation_step(self, batch: Batch, _index: int) -> None:
        poles = self._poles(batch)
        while poles.alive.any():
            poles.step(self._policy(self._observed(poles)).argmax(dim=1).cpu().numpy())
        self._sum("val", torch.tensor(1 - poles.returns.mean() / LIMIT), poles)

    def _sum(self, prefix: str, loss: Tensor, poles: CartPoles) -> None:
        count = len(poles.returns)
        self._add(prefix, {"loss": loss.detach() * count, "return": torch.tensor(poles.returns.sum())}, count)

    def _poles(self, batch: Batch) -> CartPoles:
        start = batch[OBSERVATION].cpu().double().numpy()
        physics = (np.full(len(start), value) for value in (self._physics.gravity, self._physics.pole_length))
        return CartPoles(start, *physics)

    def _observed(self, poles: CartPoles) -> Tensor:
        return torch.from_numpy(poles.observations).to(self.device)

    def _step(self, loss: Tensor) -> Tensor:
        optimizer = cast("Any", self.optimizers())
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.params.optimizer.gradient_clip_norm:
            self.clip_gradients(optimizer, self.params.optimizer.gradient_clip_norm, "norm")
        optimizer.step()
        return loss.detach()

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.network, self.params.optimizer)
        steps = int(self.trainer.estimated_stepping_batches)
        return [optimizer], [build_scheduler(optimizer, self.params.scheduler, steps)]

    @property
    def _policy(self) -> Policy:
        return cast("Policy", self.network)


class PolicyGradient(ReinforcementModule):
    """Choices are drawn, and become more probable by how much more they brought in than was to be expected.

    With episodes played to their end: REINFORCE with a learnt baseline (Williams, 1992). In pieces of `steps`, each
    judged by the value of where it has led to: advantage actor-critic (Mnih et al., 2016), with generalised advantages
    (Schulman et al., 2016).
    """

    def _learn(self, poles: CartPoles) -> Tensor:
        longest = LIMIT if self._config.algorithm == "reinforce" else self._config.steps
        losses = []
        while poles.alive.any():
            losses.append(self._step(self._loss(*self._played(poles, longest))))
        return torch.stack(losses).mean()

    def _played(self, poles: CartPoles, longest: int) -> tuple[Tensor, ...]:
        """Up to so many steps of N episodes: observations (T, N, 4), actions, who was in play, who fell (T, N), and the
        last observations (N, 4)."""
        observations: list[Tensor] = []
        actions: list[Tensor] = []
        alive: list[Tensor] = []
        fallen: list[Tensor] = []
        while poles.alive.any() and len(actions) < longest:
            seen = self._observed(poles)
            with torch.no_grad():
                chosen = torch.distributions.Categorical(logits=self._policy(seen)).sample()
            observations.append(seen)
            actions.append(chosen)
            alive.append(torch.from_numpy(poles.alive.copy()))
            before = poles.fallen.copy()
            poles.step(chosen.cpu().numpy())
            fallen.append(torch.from_numpy(poles.fallen & ~before))
        stacked = (torch.stack(found).to(self.device) for found in (observations, actions, alive, fallen))
        return *stacked, self._observed(poles)

    def _loss(self, observations: Tensor, actions: Tensor, alive: Tensor, fallen: Tensor, last: Tensor) -> Tensor:
        with torch.no_grad():
            values = self._policy.value(torch.cat([observations, last[None]]))
        advantages = self._advantages(values, alive, fallen)
        told = self._policy.value(observations[alive])
        chance = torch.distributions.Categorical(logits=self._policy(observations[alive]))
        gains = advantages[alive]
        of_values = F.smooth_l1_loss(told, gains + values[:-1][alive])
        gains = (gains - gains.mean()) / (gains.std(correction=0) + 1e-6)
        of_choices = -(chance.log_prob(actions[alive]) * gains).mean()
        loss: Tensor = of_choices + VALUE_WEIGHT * of_values - self._config.entropy * chance.entropy().mean()
        return loss

    def _advantages(self, values: Tensor, alive: Tensor, fallen: Tensor) -> Tensor:
        """What each step brought in beyond its value, (T, N); `values` (T + 1, N). An episode that was cut off goes on
        being worth what its last observation is; one whose pole fell is worth nothing more."""
        discount = self._config.discount
        smooth = 1.0 if self._config.algorithm == "reinforce" else self._config.smoothing
        found, after = torch.zeros_like(values[:-1]), torch.zeros_like(values[0])
        for step in range(len(found) - 1, -1, -1):
            goes_on = (~fallen[step]).float()
            error = 1 + discount * goes_on * values[step + 1] - values[step]
            # the observation of an episode at its limit stands still: its value is that of where it was cut off
            after = torch.where(alive[step], error + discount * smooth * goes_on * after, torch.zeros_like(after))
            found[step] = after
        return found


class QLearning(ReinforcementModule):
    """What each action will bring in is learnt from memories of what it did: deep Q-networks (Mnih et al., 2015).

    The action that the network would take next is judged by a slower copy of it (van Hasselt, Guez and Silver, 2016).
    """

    def __init__(self, network: nn.Module, params: Params, record: Record, frozen: Iterable[nn.Module] = ()) -> None:
        super().__init__(network, params, record, frozen)
        self._slow = copy.deepcopy(self._policy).requires_grad_(False)
        size = self._config.memory
        shapes = {"seen": (size, 4), "action": (size,), "next": (size, 4), "fell": (size,)}
        self._memory = {name: torch.zeros(shape) for name, shape in shapes.items()}
        self._filled = 0  # transitions that were ever kept

    def _learn(self, poles: CartPoles) -> Tensor:
        losses = []
        while poles.alive.any():
            self._act(poles)
            if self._filled >= self._config.batch:
                losses.append(self._step(self._loss()))
                for slow, fast in zip(self._slow.parameters(), self._policy.parameters(), strict=True):
                    slow.lerp_(fast.detach(), self._config.follow)
        return torch.stack(losses).mean() if losses else torch.zeros((), device=self.device)

    @torch.no_grad()
    def _act(self, poles: CartPoles) -> None:
        """A step of all episodes in play, and the memory of it."""
        seen, alive = self._observed(poles), torch.from_numpy(poles.alive.copy())
        best = self._policy(seen).argmax(dim=1).cpu()
        chosen = torch.where(torch.rand(len(best)) < self._curiosity, torch.randint(2, best.shape), best)
        poles.step(chosen.numpy())
        fell = torch.from_numpy(poles.fallen.copy())
        kept = {"seen": seen.cpu(), "action": chosen, "next": self._observed(poles).cpu(), "fell": fell}
        rows = (self._filled + torch.arange(int(alive.sum()))) % self._config.memory
        for name, values in kept.items():
            self._memory[name][rows] = values[alive].float()
        self._filled += len(rows)

    @property
    def _curiosity(self) -> float:
        """The share of actions that are drawn: all at the start, few after the first share of the training."""
        done = self.current_epoch / max(1, self.params.trainer.max_epochs * self._config.curious_share)
        return max(self._config.curiosity, 1 - done)

    def _loss(self) -> Tensor:
        rows = torch.randint(min(self._filled, self._config.memory), (self._config.batch,))
        memory = {name: values[rows].to(self.device) for name, values in self._memory.items()}
        with torch.no_grad():
            following = self._policy(memory["next"]).argmax(dim=1, keepdim=True)
            worth = self._slow(memory["next"]).gather(1, following).squeeze(1)
            expected = 1 + self._config.discount * (1 - memory["fell"]) * worth
        told = self._policy(memory["seen"]).gather(1, memory["action"].long()[:, None]).squeeze(1)
        return F.mse_loss(told / self._policy.unit, expected / self._policy.unit)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["memory"], checkpoint["filled"] = self._memory, self._filled

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._memory, self._filled = checkpoint["memory"], checkpoint["filled"]
