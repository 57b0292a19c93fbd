"""Sections about the task and its data, up to the splits."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from closedloop.section import FileName, Name, Positive, Section, Share
from closedloop.tasks.schema import KINDS, Features, Format, NoFeatures

EMBEDDED = ("idx", "table", "episodes")  # formats


class Composed(Section):
    """How params.yaml came about, so that it can be composed again and compared."""

    overrides: list[str] = []


def _known_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"must be one of {', '.join(KINDS)}")
    return kind


class Task(Section):
    name: Name  # names the folders, the stages, the MLflow experiment and the registered model
    kind: Annotated[str, AfterValidator(_known_kind)]  # what an example is: the folder of tasks/ that reads it
    title: str
    # what a model tells: one of several classes, a number, how a text goes on, what to do next, or it makes an image
    target: Literal["classes", "number", "text", "image", "action"] = "classes"
    classes: list[str] = []  # or the actions
    coverage: Annotated[float, Field(ge=0.5, le=0.99)] = 0.9  # share of numbers that the intervals are to hold

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.target not in ("classes", "action") and self.classes:
            raise ValueError(f"classes are named where target is classes or action: leave them out for {self.target}")
        if self.target in ("classes", "action") and len(self.classes) < 2:
            raise ValueError("classes must name at least 2, or target be number, text or image")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("class names must be distinct")
        return self


class RemoteFile(Section):
    name: FileName  # under data/<task>/raw/
    url: Annotated[str, Field(min_length=1)]  # of a folder on this machine: its files become one zip
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of the unpacked content
    unpack: Literal["none", "gzip", "zip"] = "none"
    member: str = ""  # of a zip: which of its files; a mirror may hold that one by itself

    @model_validator(mode="after")
    def _named_member(self) -> Self:
        if (self.unpack == "zip") != bool(self.member):
            raise ValueError("member names the file inside an archive exactly when unpack is 'zip'")
        return self


class Source(Section):
    kind: Literal["embedded", "download"]
    licence: str
    homepage: str
    files: list[RemoteFile] = []
    format: Format  # what is in the files
    retries: Annotated[int, Field(ge=0, le=20)] = 4  # further tries after a failure that may pass
    backoff_seconds: Annotated[float, Field(ge=0)] = 1  # pause before the first of them; each further one doubles it
    timeout_seconds: Annotated[float, Field(gt=0)] = 60  # without a byte from the server

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "download") != bool(self.files):
            raise ValueError("files are listed exactly when kind is 'download'")
        splits = sorted(self.format.splits)
        if splits not in (["all"], ["train"], ["test", "train"]):
            raise ValueError(f"the splits of format.parts must be [all], [train] or [train, test], not {splits}")
        if self.kind == "embedded" and (splits != ["all"] or self.format.name not in EMBEDDED):
            raise ValueError(
                f"embedded data are {' or '.join(EMBEDDED)}, one part whose split is 'all', not "
                f"{self.format.name}, {splits}"
            )
        names = [file.name for file in self.files]
        if len(set(names)) != len(names):
            raise ValueError(f"the names of files must be distinct: {', '.join(names)}")
        used = [name for part in self.format.parts for name in part.files]
        contents = [name for part in self.format.parts for name in part.contents]
        if len(set(contents)) != len(contents):
            raise ValueError(f"format.parts must name each file once: {', '.join(contents)}")
        absent = sorted(set(used) - set(names))
        if self.kind == "download" and absent:
            listed = f"listed: {', '.join(names)}"
            raise ValueError(f"format.parts name what files do not list: {', '.join(absent)}; {listed}")
        return self


class Validation(Section):
    min_examples: Positive = 100
    min_examples_per_class: Positive = 10
    max_class_ratio: Annotated[float, Field(ge=1)] = 10  # most frequent class over the rarest, in each part
    max_unknown_label_share: Share = 0.0  # labels outside task.classes; such examples are left out
    max_duplicate_share: Share = 0.05  # further copies of an example, within one official part
    max_leaked_share: Share = 0.0  # test examples that stand in another official part as well
    max_conflicting_share: Share = 0.001  # same content, different labels
    max_unreadable_share: Share = 0.0  # of the files in a folder of images; such files are left out
    max_blank_share: Share = 0.001  # without content: one value only, white space only, missing values only
    max_missing_share: Share = 0.5  # of the values of one column of a table
    max_distinct_share: Share = 0.5  # distinct values of one category of a table; with more it is a name, or a number
    min_value_range: Share = 0.5  # share of full scale that the brightest pixel, or loudest sample, must reach


class Preprocess(Section):
    seed: Annotated[int, Field(ge=0)] = 0
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2  # not used where the source has an official test split
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    production_share: Annotated[float, Field(gt=0, lt=1)] = 0.15  # kept for traffic and monitor, never trained on
    # of each partition of labelled feedback: proves the gate's point, and is the monitor's idea of normal afterwards
    feedback_test_share: Annotated[float, Field(gt=0, lt=1)] = 0.4
    # further copies of an example; all of them share a split, but each counts there: in the loss, and in the accuracy.
    # `drop` leaves the first alone; an official test part is kept whole in any case
    copies: Literal["keep", "drop"] = "keep"
    features: Features = NoFeatures()  # what the transform makes of an example, for kinds that leave a choice

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if self.test_share + self.validation_share + self.production_share >= 1:
            raise ValueError("test_share + validation_share + production_share must stay below 1: the rest trains")
        if self.feedback_test_share + self.validation_share >= 1:
            raise ValueError("feedback_test_share + validation_share must stay below 1: the rest of feedback trains")
        return self
