"""One progress bar for the whole training, with the latest validation figures."""

from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm


class Progress(pl.Callback):
    """Counts batches over all epochs, as a person wants to know when the training ends, not when the epoch does."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        total = int(trainer.estimated_stepping_batches)
        self._bar = tqdm(
            total=total,
            initial=int(trainer.current_epoch * trainer.num_training_batches),
            desc="train",
            unit="batch",
            mininterval=1,
        )

    def on_train_batch_end(self, *_args: Any) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        if self._bar is not None:
            metrics = trainer.callback_metrics
            figures = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if name.startswith("val/"))
            self._bar.set_postfix_str(
                f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}, {figures}", refresh=False
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        if self._bar is not None:
            self._bar.close()
