"""The one typed schema of params.yaml: unknown keys are refused, every mistake is reported at once."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from closedloop.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Composed(Section):
    """How params.yaml came about, so that it can be composed again and compared."""

    overrides: list[str] = []


class Task(Section):
    name: Name  # names the folders, the stages, the MLflow experiment and the registered model
    kind: Literal["image_classification"]
    title: str
    classes: Annotated[list[str], Field(min_length=2)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("class names must be distinct")
        return self


class RemoteFile(Section):
    name: FileName  # under data/<task>/raw/
    url: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of the unpacked content
    unpack: Literal["none", "gzip"] = "none"


class Part(Section):
    """One official part of an image collection in IDX format."""

    split: Literal["all", "train", "test"]
    images: FileName
    labels: FileName


class Source(Section):
    kind: Literal["embedded", "download"]
    licence: str
    homepage: str
    files: list[RemoteFile] = []
    parts: Annotated[list[Part], Field(min_length=1)]
    pixel_max: Annotated[int, Field(ge=1, le=255)]  # the value in the raw files that means full white
    retries: Annotated[int, Field(ge=0, le=20)] = 4  # further tries after a failure that may pass
    backoff_seconds: Annotated[float, Field(ge=0)] = 1  # pause before the first of them; each further one doubles it
    timeout_seconds: Annotated[float, Field(gt=0)] = 60  # without a byte from the server

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "download") != bool(self.files):
            raise ValueError("files are listed exactly when kind is 'download'")
        splits = sorted(part.split for part in self.parts)
        if splits not in (["all"], ["train"], ["test", "train"]):
            raise ValueError(f"the splits of parts must be [all], [train] or [train, test], not {splits}")
        if self.kind == "embedded" and splits != ["all"]:
            raise ValueError(f"embedded data are one part whose split is 'all', not {splits}")
        names = [file.name for file in self.files]
        if len(set(names)) != len(names):
            raise ValueError(f"the names of files must be distinct: {', '.join(names)}")
        used = [name for part in self.parts for name in (part.images, part.labels)]
        if len(set(used)) != len(used):
            raise ValueError(f"parts must name each file once: {', '.join(used)}")
        absent = sorted(set(used) - set(names))
        if self.kind == "download" and absent:
            raise ValueError(f"parts name what files do not list: {', '.join(absent)}; listed: {', '.join(names)}")
        return self


class Validation(Section):
    min_examples: Positive = 100
    min_examples_per_class: Positive = 10
    max_class_ratio: Annotated[float, Field(ge=1)] = 10  # most frequent class over the rarest, in each part
    max_unknown_label_share: Share = 0.0  # labels outside task.classes; such examples are left out
    max_duplicate_share: Share = 0.05  # further copies of an example, within one official part
    max_leaked_share: Share = 0.0  # test examples that stand in another official part as well
    max_conflicting_share: Share = 0.001  # same content, different labels
    max_blank_share: Share = 0.001  # images of one value only
    min_value_range: Share = 0.5  # share of source.pixel_max that the brightest pixel of all must reach


class Preprocess(Section):
    seed: Annotated[int, Field(ge=0)] = 0
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2  # not used where the source has an official test split
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    production_share: Annotated[float, Field(gt=0, lt=1)] = 0.15  # kept for traffic and monitor, never trained on

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if self.test_share + self.validation_share + self.production_share >= 1:
            raise ValueError("test_share + validation_share + production_share must stay below 1: the rest trains")
        return self


class CNN(Section):
    name: Literal["cnn"]
    filters: Annotated[list[Positive], Field(min_length=1)] = [32, 64, 64]
    kernel_size: Annotated[int, Field(ge=1, le=11)] = 3
    padding: Literal["valid", "same"] = "valid"
    pooled_layers: Annotated[int, Field(ge=0)] = 2  # 2x2 max-pooling follows this many of the first convolutions
    dense: list[Positive] = [64]
    normalisation: Literal["none", "batch"] = "none"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Augmentation(Section):
    """Random affine maps of training images; 0 switches a component off."""

    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0
    translation: Annotated[float, Field(ge=0, lt=1)] = 0  # share of the image's side
    scale: Annotated[float, Field(ge=0, lt=1)] = 0  # +- share of the size
    shear_degrees: Annotated[float, Field(ge=0, lt=90)] = 0


class Optimizer(Section):
    name: Literal["adamw", "sgd"]
    lr: Annotated[float, Field(gt=0, le=100)]
    weight_decay: Annotated[float, Field(ge=0)] = 0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of sgd; adamw uses beta1 = 0.9
    gradient_clip_norm: Annotated[float, Field(ge=0)] = 0  # 0: off


class Scheduler(Section):
    name: Literal["one_cycle", "cosine", "constant"]
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.3  # of all steps; rising part of one_cycle and cosine


class EarlyStopping(Section):
    patience: Annotated[int, Field(ge=0)] = 0  # epochs without a better val/loss; 0: off
    min_delta: Annotated[float, Field(ge=0)] = 0


class Trainer(Section):
    max_epochs: Positive
    batch_size: Positive
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Literal["auto", "32", "bf16"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0  # of the CPU; 0: one a core
    compile: bool = False
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0
    early_stopping: EarlyStopping = EarlyStopping()
    device_memory_share: Share = 0.5  # a split that takes at most this share of the device's free memory stays there


class Evaluation(Section):
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=100)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    calibration_bins: Annotated[int, Field(ge=2)] = 15


class Gate(Section):
    min_accuracy: Share
    min_macro_f1: Share
    max_calibration_error: Share = 1
    min_class_recall: Share  # of the worst class
    max_latency_ms: Annotated[float, Field(gt=0)] = 50  # 95th percentile of one example
    max_size_mb: Annotated[float, Field(gt=0)] = 100
    metric: Literal["accuracy", "log_loss"] = "accuracy"  # what challenger and champion are compared on
    min_gain: Annotated[float, Field(ge=0)] = 0  # the interval of the gain must lie above this
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    max_parity_error: Annotated[float, Field(gt=0)] = 1e-4  # between torch's probabilities and ONNX's


class Traffic(Section):
    window: Positive = 300
    seed: Annotated[int, Field(ge=0)] = 0
    scenario: Literal["none", "noise", "blur", "contrast", "rotation", "occlusion", "imbalance"] = "none"
    severity: Annotated[int, Field(ge=1, le=5)] = 3


class Monitor(Section):
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)] = 0.02  # of a whole window: divided by the number of columns
    min_rows: Annotated[int, Field(ge=30)] = 100
    min_effect_numeric: Share = 0.15  # Kolmogorov-Smirnov distance
    min_effect_categorical: Share = 0.1  # Cramer's V
    max_missing_rise: Share = 0.05  # of the share of missing values, beyond its interval
    max_unseen_rise: Share = 0.01  # of the share of rows whose category the reference lacks, beyond its interval
    max_accuracy_drop: Share = 0.03  # against the reference, beyond the window's interval
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.99  # of these intervals
    max_rows: Positive = 20_000  # a larger window is sampled down to this
    seed: Annotated[int, Field(ge=0)] = 0


class Tracking(Section):
    uri: Annotated[str, Field(pattern=r"^(sqlite|postgresql|mysql|mssql|https?)(\+\w+)?://")] = "sqlite:///mlflow.db"
    # MLFLOW_TRACKING_URI takes precedence
    artifacts: str = "mlartifacts"  # a folder or a bucket's url, for experiments made by this project


class Params(Section):
    """Everything that a pipeline run depends on."""

    composed: Composed = Composed()
    seed: Annotated[int, Field(ge=0)] = 0  # of training: initial weights, shuffling, dropout, augmentation
    task: Task
    source: Source
    validation: Validation = Validation()
    preprocess: Preprocess = Preprocess()
    model: CNN
    augmentation: Augmentation = Augmentation()
    optimizer: Optimizer
    scheduler: Scheduler
    trainer: Trainer
    evaluation: Evaluation = Evaluation()
    gate: Gate
    traffic: Traffic = Traffic()
    monitor: Monitor = Monitor()
    tracking: Tracking = Tracking()


def parse(content: Any, where: str) -> Params:
    """Check a composed configuration; `where` names its origin in the message.

    Raises ConfigError that lists every mistake with its key, the value found and what is allowed.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"{where} holds no configuration; compose it with `make params TASK=digits`")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        mistakes = [_describe(mistake) for mistake in error.errors()]
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError(f"{where} has {count}:\n" + "\n".join(f"  - {line}" for line in mistakes)) from None


def _describe(mistake: Any) -> str:
    key = ".".join(str(part) for part in mistake["loc"]) or "(whole file)"
    if mistake["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_allowed_keys(mistake['loc'][:-1]))}"
    if mistake["type"] == "missing":
        return f"{key}: missing"
    found = "" if isinstance(mistake["input"], dict) else f" (found {mistake['input']!r})"
    return f"{key}: {mistake['msg'].removeprefix('Value error, ')}{found}"


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = Params
    for part in location:
        if isinstance(part, int):
            continue
        annotation = section.model_fields[part].annotation
        # a list of sections, e.g. source.files: step into the section of its items
        section = getattr(annotation, "__args__", (annotation,))[0]
    return sorted(section.model_fields)


AGAIN = "`make params TASK=digits` (or another file of conf/task/)"


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises ConfigError when the file is missing, is not YAML, or holds a mistake.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist in {Path.cwd()}; go to the project's root, or compose it with {AGAIN}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path} is not readable YAML ({error}); compose it again with {AGAIN}") from None
    try:
        return parse(content, str(path))
    except ConfigError as error:
        raise ConfigError(f"{error}\nCompose it again with {AGAIN}") from None
