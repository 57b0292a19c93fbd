"""The configuration of each network and each augmentation; the modules beside this one read it."""

from typing import Annotated, Literal

from pydantic import Field

from closedloop.section import Positive, Section


class CNN(Section):
    name: Literal["cnn"]
    filters: Annotated[list[Positive], Field(min_length=1)] = [32, 64, 64]
    kernel_size: Annotated[int, Field(ge=1, le=11)] = 3
    padding: Literal["valid", "same"] = "valid"
    pooled_layers: Annotated[int, Field(ge=0)] = 2  # 2x2 max-pooling follows this many of the first convolutions
    dense: list[Positive] = [64]
    normalisation: Literal["none", "batch"] = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


Model = CNN


class NoAugmentation(Section):
    name: Literal["none"] = "none"


class Affine(Section):
    """Random affine maps of training images; 0 switches a component off."""

    name: Literal["affine"] = "affine"
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0
    translation: Annotated[float, Field(ge=0, lt=1)] = 0  # share of the image's side
    scale: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the size
    shear_degrees: Annotated[float, Field(ge=0, lt=90)] = 0


Augmentation = Annotated[NoAugmentation | Affine, Field(discriminator="name")]
