"""The configuration of raw data by format, and what each kind of task takes: formats, networks, scenarios."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from closedloop.section import FileName, Positive, Section


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


class RawFormat(Section):
    """What all formats have."""

    parts: Sequence[Part]

    @property
    def splits(self) -> tuple[str, ...]:
        """The official parts that reading the files gives, in their order."""
        return tuple(part.split for part in self.parts)


class Idx(RawFormat):
    """Images of one size and their labels' bytes in IDX files, the format of MNIST."""

    name: Literal["idx"]
    parts: Annotated[list[IdxPart], Field(min_length=1)]
    pixel_max: Annotated[int, Field(ge=1, le=255)]  # the value in the raw files that means full white


class WavPart(Part):
    archive: FileName

    @property
    def files(self) -> tuple[str, ...]:
        return (self.archive,)


class Chosen(Section):
    """Recordings by what one group of the pattern holds."""

    group: str
    values: Annotated[list[str], Field(min_length=1)]


class WavArchive(RawFormat):
    """Zips of WAV files whose names say what is in them."""

    name: Literal["wav_archive"]
    parts: Annotated[list[WavPart], Field(min_length=1)]
    pattern: str  # a regular expression for the end of each path, with a group `label`
    test: Chosen | None = None  # which recordings of the part `all` are the official test split
    rate: Annotated[int, Field(ge=1_000, le=192_000)]  # Hz; recordings of other rates are brought to it
    max_seconds: Annotated[float, Field(gt=0, le=60)] = 10  # longer recordings are refused, in files and in requests

    @property
    def splits(self) -> tuple[str, ...]:
        return ("train", "test") if self.test else super().splits

    @model_validator(mode="after")
    def _sound(self) -> Self:
        try:
            groups = re.compile(self.pattern).groupindex
        except re.error as error:
            raise ValueError(f"pattern is no regular expression: {error}") from None
        if "label" not in groups:
            raise ValueError("pattern has no group (?P<label>…)")
        if self.test and self.test.group not in groups:
            raise ValueError(f"test.group must be a group of pattern, {', '.join(groups)}, not {self.test.group}")
        if self.test and [part.split for part in self.parts] != ["all"]:
            raise ValueError("test chooses from one part whose split is 'all'; leave it out where parts are official")
        return self


Format = Annotated[Idx | WavArchive, Field(discriminator="name")]


class NoFeatures(Section):
    name: Literal["none"] = "none"


class LogMel(Section):
    """Spectrograms on the mel scale, one size for all sounds."""

    name: Literal["log_mel"]
    seconds: Annotated[float, Field(gt=0, le=60)] = 1.0  # that the picture holds, centred on the sound
    window_ms: Annotated[float, Field(gt=0)] = 32
    hop_ms: Annotated[float, Field(gt=0)] = 10  # from frame to frame
    mels: Positive = 40  # bands
    low_hz: Annotated[float, Field(ge=0, lt=500)] = (
        50  # where the lowest band begins; the highest ends at half the rate
    )
    range_db: Annotated[float, Field(gt=0)] = 60  # below the loudest point of a recording all is silence

    @model_validator(mode="after")
    def _seamless(self) -> Self:
        if self.hop_ms > self.window_ms:
            raise ValueError(
                f"hop_ms {self.hop_ms:g} must not exceed window_ms {self.window_ms:g}: sound would be lost"
            )
        return self


Features = Annotated[NoFeatures | LogMel, Field(discriminator="name")]


@dataclass(frozen=True)
class Kind:
    """What a kind of task takes; the first of each is the usual one."""

    formats: tuple[str, ...]  # of source.format.name
    models: tuple[str, ...]  # of model.name
    augmentations: tuple[str, ...]  # of augmentation.name, besides none
    scenarios: tuple[str, ...]  # of shift, besides none
    features: tuple[str, ...] = ("none",)  # of preprocess.features.name


KINDS = {
    "images": Kind(
        formats=("idx",),
        models=("cnn",),
        augmentations=("affine",),
        scenarios=("noise", "blur", "contrast", "rotation", "occlusion", "imbalance"),
    ),
    "sounds": Kind(
        formats=("wav_archive",),
        models=("cnn_gru", "cnn"),
        augmentations=("spectrogram",),
        scenarios=("noise", "quiet", "clipping", "telephone", "speed", "reverberation", "imbalance"),
        features=("log_mel",),
    ),
}
