"""The configuration of raw data by format, and what each kind of task takes: formats, networks, scenarios."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from closedloop.section import FileName, Section


class Part(Section):
    """One official part of the raw data."""

    split: Literal["all", "train", "test"]

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that hold it."""
        raise NotImplementedError


class IdxPart(Part):
    images: FileName
    labels: FileName

    @property
    def files(self) -> tuple[str, ...]:
        return (self.images, self.labels)


class Idx(Section):
    """Images of one size and their labels' bytes in IDX files, the format of MNIST."""

    name: Literal["idx"]
    parts: Annotated[list[IdxPart], Field(min_length=1)]
    pixel_max: Annotated[int, Field(ge=1, le=255)]  # the value in the raw files that means full white


Format = Idx


@dataclass(frozen=True)
class Kind:
    """What a kind of task takes; the first of each is the usual one."""

    formats: tuple[str, ...]  # of source.format.name
    models: tuple[str, ...]  # of model.name
    augmentations: tuple[str, ...]  # of augmentation.name, besides none
    scenarios: tuple[str, ...]  # of shift, besides none


KINDS = {
    "images": Kind(
        formats=("idx",),
        models=("cnn",),
        augmentations=("affine",),
        scenarios=("noise", "blur", "contrast", "rotation", "occlusion", "imbalance"),
    ),
}
