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


class CNNGRU(Section):
    """Convolutions over spectrograms, then a GRU over time."""

    name: Literal["cnn_gru"]
    filters: Annotated[list[Positive], Field(min_length=1)] = [16, 32, 64]  # pooling halves the bands after each
    kernel_size: Annotated[int, Field(ge=1, le=11)] = 3
    pooled_time: Annotated[int, Field(ge=0)] = 2  # pooling halves the frames as well after this many of the first
    hidden: Positive = 48  # of the GRU, in each direction
    bidirectional: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3


Model = Annotated[CNN | CNNGRU, Field(discriminator="name")]


class NoAugmentation(Section):
    name: Literal["none"] = "none"


class Affine(Section):
    """Random affine maps of training images; 0 switches a component off."""

    name: Literal["affine"] = "affine"
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0
    translation: Annotated[float, Field(ge=0, lt=1)] = 0  # share of the image's side
    scale: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the size
    shear_degrees: Annotated[float, Field(ge=0, lt=90)] = 0


class Spectrogram(Section):
    """Random changes of training spectrograms; 0 switches a component off."""

    name: Literal["spectrogram"] = "spectrogram"
    stretch: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the time that a sound takes
    shift: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the frames
    pitch: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the bands by which all pitches move
    tilt: Annotated[float, Field(ge=0)] = 0  # +- deviations that the highest band gains over the lowest: a microphone
    noise: Annotated[float, Field(ge=0)] = 0  # deviations, of each band at each time
    masks: Annotated[int, Field(ge=0)] = 0  # hidden stretches of time, and as many of pitch
    mask_share: Annotated[float, Field(ge=0, le=1)] = 0.1  # of all frames or bands that each hides at most


Augmentation = Annotated[NoAugmentation | Affine | Spectrogram, Field(discriminator="name")]
