"""Where the files of one task live, relative to the project's root."""

from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "validation", "test", "production")


@dataclass(frozen=True)
class Paths:
    """The layout of one task's files; `root` is the folder that holds dvc.yaml."""

    task: str
    root: Path = Path()
    attempt: str = ""  # of several trainings at the same time, each with checkpoints of its own

    @property
    def data(self) -> Path:
        return self.root / "data" / self.task

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def partitions(self) -> Path:
        """The list of the partitions of labelled feedback that belong to the raw data; kept in git."""
        return self.root / "partitions" / f"{self.task}.json"

    @property
    def feedback(self) -> Path:
        """The partitions of labelled feedback that were built here, each under the checksum of its content."""
        return self.data / "feedback"

    @property
    def quarantine(self) -> Path:
        """Labelled feedback that is not learnt from, with the reasons."""
        return self.data / "quarantine"

    def examples(self, split: str) -> Path:
        return self.data / "examples" / f"{split}.parquet"

    def tensors(self, split: str) -> Path:
        return self.data / "tensors" / f"{split}.safetensors"

    @property
    def traffic(self) -> Path:
        return self.data / "traffic.parquet"

    @property
    def champion_reference(self) -> Path:
        """The reference as the champion answers it, which need not be the model evaluated last."""
        return self.data / "champion_reference.parquet"

    @property
    def preprocessor(self) -> Path:
        return self.root / "models" / self.task / "preprocessor"

    @property
    def model(self) -> Path:
        return self.root / "models" / self.task / "trained"

    @property
    def run(self) -> Path:
        """Which MLflow run trained the model, and how long it took: a receipt, not an input."""
        return self.root / "models" / self.task / "run.json"

    @property
    def unfinished(self) -> Path:
        """Checkpoints of a training run that has not ended; outside every DVC output, so that a kill spares them."""
        return self.trials / self.attempt if self.attempt else self.root / "work" / self.task

    @property
    def trials(self) -> Path:
        """Checkpoints and logs of the trainings of a search."""
        return self.root / "work" / "tune" / self.task

    @property
    def studies(self) -> Path:
        """What has become of the trials of all searches, of every task; SQLite."""
        return self.root / "studies.db"

    @property
    def reports(self) -> Path:
        return self.root / "reports" / self.task

    @property
    def predictions(self) -> Path:
        return self.reports / "predictions.parquet"

    @property
    def reference(self) -> Path:
        return self.reports / "reference.parquet"

    @property
    def figures(self) -> Path:
        return self.reports / "figures"

    def report(self, name: str) -> Path:
        return self.reports / name
