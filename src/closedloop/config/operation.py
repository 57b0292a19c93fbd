"""Sections about what happens to a trained model: evaluation, gate, serving, monitoring, retraining."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from closedloop.section import Positive, Section, Share


class Evaluation(Section):
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=100)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    calibration_bins: Annotated[int, Field(ge=2)] = 15
    judge: str | None = None  # of images that are made: the registered classifier whose features they are compared in


class AnyGate(Section):
    """What is asked of every challenger."""

    metric: str  # what challenger and champion are compared on
    max_latency_ms: Annotated[float, Field(gt=0)] = 50  # 95th percentile of one example
    max_size_mb: Annotated[float, Field(gt=0)] = 100
    beat_baseline: bool = False  # by the whole interval of the gain over it, in gate.metric
    min_gain: Annotated[float, Field(ge=0)] = 0  # the interval of the gain must lie above this
    # with new data: the challenger must win on the champion's test examples or on the recent labelled traffic, and on
    # the other the interval of its gain must lie above minus this
    max_loss: Annotated[float, Field(ge=0)] = 0.02
    min_recent: Annotated[int, Field(ge=30)] = 50  # recent labelled examples, below which they prove nothing
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    # between torch's answers and ONNX's: of probabilities, or of numbers in deviations of the target
    max_parity_error: Annotated[float, Field(gt=0)] = 1e-4


class ClassGate(AnyGate):
    target: Literal["classes"]
    min_accuracy: Share
    min_macro_f1: Share
    max_calibration_error: Share = 1
    min_class_recall: Share  # of the worst class
    metric: Literal["accuracy", "log_loss"] = "accuracy"  # what challenger and champion are compared on


class NumberGate(AnyGate):
    """`min_gain` and `max_loss` are in the unit of the metric."""

    target: Literal["number"]
    min_r2: Annotated[float, Field(le=1)]  # share of the variance that is explained
    max_mae: Annotated[float, Field(gt=0)] | None = None
    min_coverage: Share = 0  # of the intervals
    metric: Literal["mae", "mse"] = "mae"


class TextGate(AnyGate):
    target: Literal["text"]
    max_nats: Annotated[float, Field(gt=0)]  # a character, on average
    metric: Literal["nats"] = "nats"


class ImageGate(AnyGate):
    target: Literal["image"]
    max_frechet: Annotated[float, Field(gt=0)]  # between made and real images, in the judge's features
    min_precision: Share = 0  # share of the made images that look like real ones
    min_recall: Share = 0  # share of the real images that look like made ones
    min_class_share: Share = 0  # of the rarest class among what is made, as the judge sees them
    max_copied: Share = 1  # share of the made images that lie closer to a training image than nearly all real ones do
    metric: Literal["energy_score"] = "energy_score"


class ActionGate(AnyGate):
    target: Literal["action"]
    min_return: float  # of an episode, on average
    metric: Literal["return"] = "return"


Gate = Annotated[ClassGate | NumberGate | TextGate | ImageGate | ActionGate, Field(discriminator="target")]


Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")]  # UTC


Scenario = str  # which ones there are depends on task.kind: see tasks/schema.py
Severity = Annotated[int, Field(ge=1, le=5)]


class Traffic(Section):
    """The window that is checked: production examples, shifted on purpose, or what the server has answered."""

    source: Literal["examples", "log"] = "examples"
    window: Positive = 300  # examples drawn; of the log: unchecked predictions that make a window
    hours: Annotated[float, Field(ge=0)] = 0  # of the log: a window of so many hours instead; 0: by count
    start: Time | None = None  # bounds of a window of the log, [start, end): written down by `make monitor`
    end: Time | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    scenario: Scenario = "none"
    severity: Severity = 3

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end are given together, or neither")
        if self.start and self.end and datetime.fromisoformat(self.start) >= datetime.fromisoformat(self.end):
            raise ValueError(f"start {self.start} must lie before end {self.end}")
        if self.source == "log" and self.scenario != "none":
            raise ValueError("a scenario shifts examples; what the log holds has happened: use scenario none")
        return self


class Monitor(Section):
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)] = 0.02  # of a whole window: divided by the number of columns
    min_rows: Annotated[int, Field(ge=30)] = 100
    min_effect_numeric: Share = 0.15  # Kolmogorov-Smirnov distance
    min_effect_categorical: Share = 0.1  # Cramer's V
    max_missing_rise: Share = 0.05  # of the share of missing values, beyond its interval
    max_unseen_rise: Share = 0.01  # of the share of rows whose category the reference lacks, beyond its interval
    max_latency_ms: Annotated[float, Field(gt=0)] = 50  # of the log: 95th percentile of an answer
    max_error_share: Share = 0.01  # of the log: requests that failed through no fault of the client (5xx)
    max_rejected_share: Share = 0.2  # of the log: requests refused as wrong (4xx)
    min_labels: Annotated[int, Field(ge=1)] = 30  # of a window, below which its accuracy is not judged but estimated
    max_accuracy_drop: Share = 0.03  # against the reference, beyond the window's interval
    max_mae_rise: Annotated[float, Field(ge=0)] = 0.2  # of numbers, in the same way: as a share of the reference's
    max_nats_rise: Annotated[float, Field(ge=0)] = 0.1  # of texts, in the same way: as a share of the reference's
    max_return_drop: Share = 0.05  # of episodes, in the same way: as a share of the reference's
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.99  # of these intervals
    max_rows: Positive = 20_000  # a larger window is sampled down to this
    seed: Annotated[int, Field(ge=0)] = 0


class Tracking(Section):
    uri: Annotated[str, Field(pattern=r"^(sqlite|postgresql|mysql|mssql|https?)(\+\w+)?://")] = "sqlite:///mlflow.db"
    # MLFLOW_TRACKING_URI takes precedence
    artifacts: str = "mlartifacts"  # a folder or a bucket's url, for experiments made by this project


class Serving(Section):
    port: Annotated[int, Field(ge=1024, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1  # processes
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 1  # between looks at the champion alias
    max_body_mb: Annotated[float, Field(gt=0, le=1000)] = 4
    max_batch: Positive = 256  # examples in one request
    timeout_seconds: Annotated[float, Field(gt=0)] = 10  # for the whole of one request
    hosts: list[str] = []  # further names by which a server on a loopback address is called: by a reverse proxy's
    # the version behind the alias challenger: shadow answers for the log alone, canary answers a share of the requests
    challenger: Literal["off", "shadow", "canary"] = "off"
    canary_share: Annotated[float, Field(gt=0, lt=1)] = 0.1


class Log(Section):
    """The prediction log, with the checks and the retraining attempts that rest on it."""

    uri: Annotated[str, Field(pattern=r"^(sqlite|postgresql)(\+\w+)?://")] = "sqlite:///predictions.db"
    # CLOSEDLOOP_LOG_URI takes precedence
    inputs: Literal["keep", "omit"] = "keep"  # without inputs there is nothing to retrain on
    pseudonymised: list[str] = []  # fields of a request replaced by a hash under the key CLOSEDLOOP_PSEUDONYM_KEY
    keep_days: Annotated[float, Field(gt=0)] = 90
    max_rows: Annotated[int, Field(ge=1000)] = 10_000_000  # the oldest go first


class Retraining(Section):
    """When to retrain: any of the four reasons, at most once in `cooldown_hours`, and never without new labels."""

    alarms: Positive = 2  # K of the last N windows have drifted, the latest among them
    windows: Positive = 3  # N
    min_accuracy: Share = 0  # floor of the latest window with labels; 0: none
    max_mae: Annotated[float, Field(ge=0)] = 0  # of numbers: ceiling of the mean absolute error there; 0: none
    new_labels: Annotated[int, Field(ge=0)] = 0  # as many labels have arrived since the last attempt; 0: off
    every_days: Annotated[float, Field(ge=0)] = 0  # so long after the last attempt; 0: off
    min_labels: Annotated[int, Field(ge=30)] = (
        150  # new labelled predictions, below which a retraining learns too little
    )
    cooldown_hours: Annotated[float, Field(ge=0)] = 6
    max_quarantined_share: Share = 0.5  # of the new labels; with more the batch is taken for poisoned
    # of the answers given with great confidence: labels that contradict more of them are taken for poisoned
    max_contradicted_share: Share = 0.9

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.alarms > self.windows:
            raise ValueError(f"alarms ({self.alarms}) cannot exceed windows ({self.windows})")
        return self


class Drill(Section):
    """The fire drill, in a project of its own: the world changes, and the loop has to notice and to learn."""

    scenario: Scenario = "contrast"
    severity: Severity = 4
    window: Annotated[int, Field(ge=100)] = 200  # predictions of a check; the drill sends about four times as many
    min_recovered: Share = 0.9  # of the accuracy that the shift had cost, after retraining
    overrides: list[str] = []  # of the configuration, in the drill's own project
