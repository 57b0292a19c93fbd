"""Learning to make images that a discriminator takes for real ones, and the model that is served."""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from closedloop.config import Params
from closedloop.data.datamodule import Batch
from closedloop.learning.export import Served
from closedloop.learning.optimization import build_optimizer, build_scheduler
from closedloop.learning.record import Record
from closedloop.learning.supervised import EpochModule
from closedloop.networks.augmentation import augment
from closedloop.networks.gan import GAN
from closedloop.tasks.images.pictures import Levels, tiled

INPUTS, NOISE = "inputs", "noise"
MADE = 1000  # images by which an epoch is judged
GRID = 8  # rows and columns of the picture of an epoch


class AdversarialModule(EpochModule):
    """The discriminator and the generator take turns, a step each (Goodfellow et al., 2014).

    The generator's loss is the one that does not saturate: minus the logarithm of how real its images are taken to be.
    Only real images are smoothed, or the discriminator would praise what the generator does already (Salimans et al.,
    2016). Epochs are judged by the energy score of the validation images: `energy_scores`.
    """

    def __init__(self, network: nn.Module, params: Params, record: Record, frozen: Iterable[nn.Module] = ()) -> None:
        super().__init__(network, params, record, frozen)
        self.automatic_optimization = False
        self._made: list[Tensor] = []

    def training_step(self, batch: Batch, _index: int) -> None:
        for_generator, for_discriminator = cast("Any", self.optimizers())
        real = augment({INPUTS: batch[INPUTS]}, self.params.augmentation)[INPUTS]
        made = self._gan.generator(self._gan.drawn(len(real)))
        told = self._gan.discriminator(torch.cat([real, made.detach()])).float()
        truth = torch.cat([torch.full_like(told[: len(real)], self._certain), torch.zeros_like(told[len(real) :])])
        loss = F.binary_cross_entropy_with_logits(told, truth)
        self._step(for_discriminator, loss)
        taken = self._gan.discriminator(made).float()
        deceit = F.binary_cross_entropy_with_logits(taken, torch.ones_like(taken))
        self._step(for_generator, deceit)
        self._gan.average(self.global_step // 2)
        with torch.no_grad():
            sums = {"loss": loss.detach(), "deceit": deceit.detach(), "realism": torch.sigmoid(taken).mean()}
        self._add("train", {name: one * len(real) for name, one in sums.items()}, len(real))
        for scheduler in cast("Any", self.lr_schedulers()):
            scheduler.step()

    @property
    def _certain(self) -> float:
        return 1 - self.params.trainer.label_smoothing

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.params.optimizer.gradient_clip_norm:
            self.clip_gradients(optimizer, self.params.optimizer.gradient_clip_norm, "norm")
        optimizer.step()

    def on_validation_epoch_start(self) -> None:
        noise = self._gan.drawn(MADE, torch.Generator().manual_seed(self.params.seed))  # the same in each epoch
        self._made = [self._gan.averaged(some) for some in noise.split(128)]

    def validation_step(self, batch: Batch, _index: int) -> None:
        made = torch.cat(self._made)
        scores = energy_scores(batch[INPUTS].flatten(1).float(), made.flatten(1).float())
        realism = torch.sigmoid(self._gan.discriminator(made[: len(scores)]).float()).mean()
        self._add("val", {"loss": scores.sum(), "realism": realism * len(scores)}, len(scores))

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self._record.show("made", _picture(torch.cat(self._made)[: GRID**2]), self.current_epoch + 1)

    def configure_optimizers(self) -> Any:
        parts = (self._gan.generator, self._gan.discriminator)
        optimizers = [build_optimizer(part, self.params.optimizer) for part in parts]
        steps = int(self.trainer.estimated_stepping_batches)
        return optimizers, [build_scheduler(one, self.params.scheduler, steps) for one in optimizers]

    @property
    def _gan(self) -> GAN:
        return cast("GAN", self.network)


class GeneratorServed(Served):
    """The networks as they are exported: images are judged, and noise is made into images, which are judged as well."""

    names = (INPUTS, NOISE)
    outputs = ("answers", "made")

    def __init__(self, network: GAN) -> None:
        super().__init__()
        self.noise, self.generator, self.discriminator = network.noise, network.averaged, network.discriminator

    def forward(self, inputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The realism of the images and, after it, of those that were made, (N + M, 1); and these, (M, C, H, W)."""
        made = self.generator(noise)
        return torch.sigmoid(self.discriminator(torch.cat([inputs, made]))), made

    def _free_sizes(self) -> dict[str, object]:
        """Either may be empty."""
        return {"inputs": {0: torch.export.Dim("batch")}, "noise": {0: torch.export.Dim("images")}}

    def example(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        return inputs[INPUTS], torch.randn(3, self.noise, generator=torch.Generator().manual_seed(0))

    def asked(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        return inputs[INPUTS], torch.zeros(0, self.noise)


def energy_scores(real: Tensor, made: Tensor) -> Tensor:
    """How far what is made, taken for a distribution, is from each real vector: (N, K) and (M, K) -> (N,).

    The mean distance to what is made, less half the mean distance within that. On average it is the smallest for the
    distribution that the real ones come from: Gneiting and Raftery, "Strictly proper scoring rules", 2007.
    """
    within = torch.cdist(made, made).sum() / (len(made) * (len(made) - 1))
    return torch.cdist(real, made).mean(dim=1) - within / 2


def _picture(images: Tensor) -> Levels:
    """Images (N, C, H, W) of -1 to 1 side by side, as levels (rows, columns) or (rows, columns, 3)."""
    levels = ((images.float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return tiled((levels[:, 0] if levels.shape[1] == 1 else levels.permute(0, 2, 3, 1)).numpy(), GRID)
