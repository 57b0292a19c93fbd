"""Learning a labelled task by minimising the loss of its target."""

import math
from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from closedloop.config import Params
from closedloop.data.datamodule import Batch
from closedloop.data.tensors import TARGETS
from closedloop.errors import TrainingError
from closedloop.learning.objectives import Objective
from closedloop.learning.optimization import build_optimizer, build_scheduler
from closedloop.learning.record import Record
from closedloop.networks.augmentation import augment

COUNT = "examples"


class EpochModule(pl.LightningModule):
    """What all trainings share: metrics are summed on the device and read once an epoch, never once a step.

    `history` has one row of metrics an epoch and travels in the checkpoints; each goes to the record.
    """

    def __init__(
        self,
        network: nn.Module,
        params: Params,
        record: Record,
        frozen: Iterable[nn.Module] = (),
    ) -> None:
        """`frozen`: parts of the network whose batch statistics stay as they are, as well."""
        super().__init__()
        self.network, self.params = network, params
        self.history: list[dict[str, float]] = []
        self._record, self._frozen = record, tuple(frozen)
        self._sums: dict[str, dict[str, Tensor]] = {}

    def on_train_epoch_start(self) -> None:
        # dropout and augmentation depend on seed and epoch alone: a resumed run draws what an undisturbed one would
        torch.manual_seed(self.params.seed * 1_000_003 + self.current_epoch)
        for part in self._frozen:
            part.eval()

    def _add(self, prefix: str, sums: dict[str, Tensor], count: int) -> None:
        added = {**sums, COUNT: torch.tensor(count)}
        before = self._sums.get(prefix, {})
        self._sums[prefix] = {name: before.get(name, 0) + value.double() for name, value in added.items()}

    def _means(self, prefix: str) -> dict[str, float]:
        sums = {name: float(value) for name, value in self._sums.pop(prefix).items()}
        count = sums.pop(COUNT)
        return {f"{prefix}/{name}": value / count for name, value in sums.items()}

    def on_validation_epoch_end(self) -> None:
        self._validation = self._means("val")
        self.log_dict(self._validation)  # for early stopping and the choice of the best checkpoint

    def on_train_epoch_end(self) -> None:
        metrics = {**self._means("train"), **self._validation, "lr": self.trainer.optimizers[0].param_groups[0]["lr"]}
        broken = next((name for name in ("train/loss", "val/loss") if not math.isfinite(metrics[name])), None)
        if broken:
            raise TrainingError(
                f"{broken} became {metrics[broken]} in epoch {self.current_epoch + 1}: lower optimizer.lr "
                f"(now {self.params.optimizer.lr}) or set optimizer.gradient_clip_norm "
                f"(now {self.params.optimizer.gradient_clip_norm}), then run again"
            )
        epoch = self.current_epoch + 1
        self.history.append({"epoch": epoch, **metrics})
        self._record.log(metrics, epoch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["history"])

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.network, self.params.optimizer)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = build_scheduler(optimizer, self.params.scheduler, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class SupervisedModule(EpochModule):
    """Trains a network to its objective."""

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        params: Params,
        record: Record,
        frozen: Iterable[nn.Module] = (),
    ) -> None:
        super().__init__(network, params, record, frozen)
        self.objective = objective

    def forward(self, **inputs: Tensor) -> Tensor:
        outputs: Tensor = self.network(**inputs)
        return outputs

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        inputs, targets = _parted(batch)
        outputs = self(**augment(inputs, self.params.augmentation))
        loss = self.objective.loss(outputs, targets)
        with torch.no_grad():
            sums = self.objective.sums(self.objective.combined(outputs.detach()), targets)
        self._add("train", {**sums, "loss": loss.detach() * len(targets)}, len(targets))
        return loss

    def validation_step(self, batch: Batch, _index: int) -> None:
        inputs, targets = _parted(batch)
        outputs = self.objective.combined(self(**inputs).float())
        self._add("val", self.objective.sums(outputs, targets), len(targets))


def _parted(batch: Batch) -> tuple[Batch, Tensor]:
    """The network's inputs, and the targets."""
    return {name: tensor for name, tensor in batch.items() if name != TARGETS}, batch[TARGETS]
