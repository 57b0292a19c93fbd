"""Learning a labelled task by minimising the cross-entropy."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from closedloop.config import Params
from closedloop.data.datamodule import Batch
from closedloop.data.tensors import TARGETS
from closedloop.errors import TrainingError
from closedloop.learning.optimization import build_optimizer, build_scheduler
from closedloop.networks.augmentation import augment


class SupervisedModule(pl.LightningModule):
    """Trains a classifier; metrics are summed on the device and read once an epoch, never once a step.

    `history` has one row of metrics an epoch and travels in the checkpoints; each is handed to `log(metrics, epoch)`.
    """

    def __init__(
        self,
        network: nn.Module,
        params: Params,
        log: Callable[[dict[str, float], int], None],
        frozen: Iterable[nn.Module] = (),
    ) -> None:
        """`frozen`: parts of the network whose batch statistics stay as they are, as well."""
        super().__init__()
        self.network = network
        self.params = params
        self.history: list[dict[str, float]] = []
        self._log, self._frozen = log, tuple(frozen)
        self._sums: dict[str, Tensor] = {}

    def forward(self, **inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(**inputs)
        return logits

    def on_train_epoch_start(self) -> None:
        # dropout and augmentation depend on seed and epoch alone: a resumed run draws what an undisturbed one would
        torch.manual_seed(self.params.seed * 1_000_003 + self.current_epoch)
        for part in self._frozen:
            part.eval()

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        inputs, targets = _parted(batch)
        logits = self(**augment(inputs, self.params.augmentation))
        # the members of an ensemble, where the network is one, (N, members, C): each learns by its own loss
        members = logits if logits.ndim == 3 else logits[:, None]
        each = targets[:, None].expand(members.shape[:2])
        loss = F.cross_entropy(
            members.flatten(0, 1), each.flatten(), label_smoothing=self.params.trainer.label_smoothing
        )
        self._add("train", loss.detach() * len(targets), members.mean(dim=1), targets)
        return loss

    def validation_step(self, batch: Batch, _index: int) -> None:
        inputs, targets = _parted(batch)
        logits = self(**inputs)
        self._add("val", F.cross_entropy(logits.float(), targets, reduction="sum"), logits, targets)

    def _add(self, prefix: str, loss_sum: Tensor, logits: Tensor, targets: Tensor) -> None:
        correct = (logits.argmax(dim=1) == targets).sum()
        row = torch.stack([loss_sum.double(), correct.double(), correct.new_tensor(len(targets)).double()])
        self._sums[prefix] = self._sums[prefix] + row if prefix in self._sums else row

    def _means(self, prefix: str) -> dict[str, float]:
        loss, correct, count = self._sums.pop(prefix).tolist()
        return {f"{prefix}/loss": loss / count, f"{prefix}/accuracy": correct / count}

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
        self._log(metrics, epoch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["history"])

    def configure_optimizers(self) -> Any:
        optimizer = build_optimizer(self.network, self.params.optimizer)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = build_scheduler(optimizer, self.params.scheduler, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _parted(batch: Batch) -> tuple[Batch, Tensor]:
    """The network's inputs, and the targets."""
    return {name: tensor for name, tensor in batch.items() if name != TARGETS}, batch[TARGETS]
