"""The configuration of raw data by format, and what each kind of task takes: formats, networks, scenarios."""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from closedloop.data.schema import Layout
from closedloop.section import FileName, Positive, Section


class Part(Section):
    """One official part of the raw data."""

    split: Literal["all", "train", "test"]

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that hold it."""
        raise NotImplementedError

    @property
    def contents(self) -> tuple[str, ...]:
        """What in the files holds it; no two parts share any."""
        return self.files


class FilePart(Part):
    """A part that is one file."""

    file: FileName

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,)


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

    @property
    def fit_to(self) -> None:
        """All images are of one size; a request of another one is refused."""
        return None


class Pictures(RawFormat):
    """What images have that come in sizes and colours of their own."""

    channels: Literal[1, 3] | None = None  # grey or colour; without it, colour if any image has some
    size: tuple[Positive, Positive] | None = None  # height, width; without it all images must be of one size
    # what is done to another size, in files and in requests: black beside it, its middle alone, or another shape
    fit: Literal["pad", "crop", "stretch"] = "pad"

    @property
    def pixel_max(self) -> int:
        return 255

    @property
    def fit_to(self) -> Literal["pad", "crop", "stretch"] | None:
        """What becomes of a request of another size; None: it is refused."""
        return self.fit if self.size else None


class ImagePart(Part):
    archive: FileName
    folder: str = ""  # train or test, say: the folder above the classes' where an archive holds several parts

    @property
    def files(self) -> tuple[str, ...]:
        return (self.archive,)

    @property
    def contents(self) -> tuple[str, ...]:
        return (f"{self.archive}/{self.folder}",)


class ImageFolder(Pictures):
    """Image files in a zip or tar, in a folder a class; a local folder becomes a zip when it is acquired."""

    name: Literal["image_folder"]
    parts: Annotated[list[ImagePart], Field(min_length=1)]


class ArraysPart(Part):
    file: FileName
    images: str = "images"  # the array's name: (N, H, W) or (N, H, W, 3), bytes or floats from 0 to 1
    labels: str = "labels"  # class names, or their places in task.classes, from 0

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,)

    @property
    def contents(self) -> tuple[str, ...]:
        return (f"{self.file}/{self.images}", f"{self.file}/{self.labels}")


class ImageArrays(Pictures):
    """Images and labels as named arrays of an .npz file, as numpy.savez writes them."""

    name: Literal["image_arrays"]
    parts: Annotated[list[ArraysPart], Field(min_length=1)]


class ArchivePart(Part):
    archive: FileName

    @property
    def files(self) -> tuple[str, ...]:
        return (self.archive,)


class Chosen(Section):
    """Files by what one group of the pattern holds."""

    group: str
    values: Annotated[list[str], Field(min_length=1)]


class Archive(RawFormat):
    """Zips of files whose names say what is in them."""

    parts: Annotated[list[ArchivePart], Field(min_length=1)]
    # a regular expression for the end of each path, with a group `label`; where it has a group `group`, as for a
    # speaker, files of one group never stand in two splits
    pattern: str
    test: Chosen | None = None  # which files of the part `all` are the official test split

    @property
    def splits(self) -> tuple[str, ...]:
        return ("train", "test") if self.test else super().splits

    @property
    def grouped(self) -> bool:
        return "group" in re.compile(self.pattern).groupindex

    def split(self, groups: dict[str, str], part: Part) -> str:
        """The official part of a file, by what the pattern has found in its name."""
        if self.test is None:
            return part.split
        return "test" if groups[self.test.group] in self.test.values else "train"

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


class WavArchive(Archive):
    """Recordings in zips of WAV files."""

    name: Literal["wav_archive"]
    rate: Annotated[int, Field(ge=1_000, le=192_000)]  # Hz; recordings of other rates are brought to it
    max_seconds: Annotated[float, Field(gt=0, le=60)] = 10  # longer recordings are refused, in files and in requests


class Rows(RawFormat):
    """What formats of tables have: the columns that are not the content of an example."""

    parts: Annotated[list[FilePart], Field(min_length=1)]
    layout: Layout
    target: str  # the column of the classes' names
    id: str | None = None  # of distinct names; rows are counted where there is none
    group: str | None = None  # rows of one group, as of one person, never stand in two splits
    time: str | None = None  # splits follow its order: training first, then validation, test and, latest, production
    time_format: str = "iso"  # ISO 8601; number; or a format of Python's strptime, such as %d.%m.%Y

    @property
    def roles(self) -> dict[str, list[str]]:
        """The names of columns by the key that holds them."""
        single = {"target": self.target, "id": self.id, "group": self.group, "time": self.time}
        return {key: [name] if name is not None else [] for key, name in single.items()}

    @model_validator(mode="after")
    def _one_role(self) -> Self:
        named = [name for names in self.roles.values() for name in names]
        repeated = sorted({name for name in named if named.count(name) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} stands in more than one place; a column has one role")
        return self


class Table(Rows):
    """Rows of numbers and categories; every column of the files is named in exactly one place.

    Without numbers and categories, all columns that are nothing else are taken for one or the other by their values.
    """

    name: Literal["table"]
    numbers: list[str] = []
    categories: list[str] = []
    ignored: list[str] = []  # columns that the model must not see, or that a request cannot have
    rename: dict[str, str] = {}  # columns that are to have another name than in the files: everywhere, as in requests

    @property
    def roles(self) -> dict[str, list[str]]:
        return {**super().roles, "numbers": self.numbers, "categories": self.categories, "ignored": self.ignored}


class TextColumns(Rows):
    """Texts in one column of a table, their labels in another; further columns are left aside."""

    name: Literal["text_columns"]
    text: str

    @property
    def roles(self) -> dict[str, list[str]]:
        return {**super().roles, "text": [self.text]}


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
        "\n".encode(name)
    except (LookupError, UnicodeError, ValueError):
        raise ValueError(f"{name!r} is no encoding of text that Python knows, such as utf-8 or cp1252") from None
    return name


Encoding = Annotated[str, AfterValidator(_known_encoding)]


class TextPart(FilePart):
    label_column: Annotated[int, Field(ge=0)] = 0  # counted from 0
    text_column: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.label_column == self.text_column:
            raise ValueError(f"label_column and text_column are both {self.text_column}")
        return self


class TextTable(RawFormat):
    """One text and its label a line, in a delimited file without header and without quoting."""

    name: Literal["text_table"]
    parts: Annotated[list[TextPart], Field(min_length=1)]
    delimiter: Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]+$")] = "\t"
    encoding: Encoding = "utf-8"


class TextArchive(Archive):
    """Texts in zips of .txt files, a text a file."""

    name: Literal["text_archive"]
    encoding: Encoding = "utf-8"


class TextFile(RawFormat):
    """One running text, cut into passages of one length; the end of it is the official test split."""

    name: Literal["text_file"]
    parts: Annotated[list[FilePart], Field(min_length=1, max_length=1)]
    encoding: Encoding = "utf-8"
    passage: Annotated[int, Field(ge=16, le=100_000)] = 1024  # characters; what is left over at the end is not used
    test_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1  # of the text, its end

    @property
    def splits(self) -> tuple[str, ...]:
        return ("train", "test")


class Episodes(RawFormat):
    """Where episodes begin, and the physics that they go by: a row each in a CSV file."""

    name: Literal["episodes"]
    parts: Annotated[list[FilePart], Field(min_length=1, max_length=1)]
    count: Annotated[int, Field(ge=100, le=1_000_000)] = 2000
    seed: Annotated[int, Field(ge=0)] = 0
    gravity: Annotated[float, Field(gt=0)] = 9.8  # m/s²
    pole_length: Annotated[float, Field(gt=0)] = 0.5  # m, half of the pole, as CartPole-v1 counts it


Format = Annotated[
    Idx | ImageFolder | ImageArrays | WavArchive | Table | TextTable | TextColumns | TextArchive | TextFile | Episodes,
    Field(discriminator="name"),
]


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


class Tokens(Section):
    """Texts as token ids, and as weighted character n-grams; both vocabularies come from the training split."""

    name: Literal["tokens"]
    vocabulary: Annotated[int, Field(ge=64, le=65_536)] = 2000  # tokens, padding and unknown among them
    max_tokens: Annotated[int, Field(ge=4, le=2048)] = 128  # what comes after them is not seen by the network's tokens
    shortest: Annotated[int, Field(ge=1, le=8)] = 2  # characters of an n-gram
    longest: Annotated[int, Field(ge=1, le=8)] = 5
    min_texts: Positive = 2  # training texts that an n-gram has to stand in
    max_ngrams: Annotated[int, Field(ge=1, le=8192)] = 768  # of a text: those that come first
    max_characters: Annotated[int, Field(ge=1, le=100_000)] = 2000  # of a request: a longer one is refused

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest ({self.shortest}) cannot exceed longest ({self.longest})")
        return self


class Noise(Section):
    """Images as they are, and noise to make others of."""

    name: Literal["noise"]
    size: Annotated[int, Field(ge=1, le=4096)] = 100  # numbers that an image is made of
    max_count: Annotated[int, Field(ge=1, le=1000)] = 64  # images that are made at most in an answer


class Characters(Section):
    """Texts as the characters of the training split; any other one is unknown."""

    name: Literal["characters"]
    max_prompt: Annotated[int, Field(ge=1, le=10_000)] = 2000  # characters of a request's text
    max_length: Annotated[int, Field(ge=1, le=10_000)] = 1000  # characters that are written at most in an answer


Features = Annotated[NoFeatures | LogMel | Tokens | Characters | Noise, Field(discriminator="name")]


@dataclass(frozen=True)
class Kind:
    """What a kind of task takes; the first of each is the usual one."""

    formats: tuple[str, ...]  # of source.format.name
    models: tuple[str, ...]  # of model.name
    augmentations: tuple[str, ...]  # of augmentation.name, besides none
    scenarios: tuple[str, ...]  # of shift, besides none
    features: tuple[str, ...] = ("none",)  # of preprocess.features.name
    targets: tuple[str, ...] = ("classes",)  # of task.target
    simulators: tuple[str, ...] = ()  # files of its folder that examples are played in while a network learns
    actions: tuple[str, ...] = ()  # task.classes, in the order in which the environment counts them


OF_CLASSES = ("imbalance",)  # scenarios that make no sense without classes
# what goes together for a target, and goes with no other
ONLY_FOR = {
    "text": {"source.format.name": "text_file", "preprocess.features.name": "characters", "model.name": "char_lstm"},
    "image": {"preprocess.features.name": "noise", "model.name": "gan"},
    "action": {"source.format.name": "episodes", "model.name": "policy"},
}


KINDS = {
    "images": Kind(
        formats=("idx", "image_folder", "image_arrays"),
        models=("cnn", "resnet", "gan"),
        augmentations=("affine",),
        scenarios=("noise", "blur", "contrast", "rotation", "occlusion", "inversion", "mirroring", "tint", "imbalance"),
        features=("none", "noise"),
        targets=("classes", "image"),
    ),
    "control": Kind(
        formats=("episodes",),
        models=("policy",),
        augmentations=(),
        scenarios=("pole_length", "gravity"),
        targets=("action",),
        simulators=("cartpole.py",),
        actions=("left", "right"),
    ),
    "sounds": Kind(
        formats=("wav_archive",),
        models=("cnn_gru", "cnn"),
        augmentations=("spectrogram",),
        scenarios=("noise", "quiet", "clipping", "telephone", "speed", "reverberation", "imbalance"),
        features=("log_mel",),
    ),
    "tables": Kind(
        formats=("table",),
        models=("mlp",),
        augmentations=(),
        scenarios=("inflation", "missing", "recoding", "imbalance"),
        targets=("classes", "number"),
    ),
    "texts": Kind(
        formats=("text_table", "text_columns", "text_archive", "text_file"),
        models=("text_transformer", "text_lstm", "char_lstm"),
        augmentations=("token_dropout",),
        scenarios=("typos", "shouting", "truncation", "obfuscation", "homoglyphs", "imbalance"),
        features=("tokens", "characters"),
        targets=("classes", "text"),
    ),
}
