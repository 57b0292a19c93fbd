"""Answers requests with an ONNX model and the fitted transform; needs neither torch nor MLflow."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import read_json
from closedloop.tasks import get_task
from closedloop.tasks.base import Arrays, Preprocessor

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1024  # rows a run of the model: bounds the memory, keeps the cores busy


@dataclass(frozen=True)
class Predictor:
    """A model as it is deployed."""

    session: Any  # onnxruntime.InferenceSession
    preprocessor: Preprocessor

    @classmethod
    def load(cls, onnx: Path, preprocessor: Path, threads: int = 0) -> "Predictor":
        """Load a model file and its preprocessor's folder; `threads` 0 means all cores.

        Raises DataError when either is missing or unreadable.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        try:
            kind = read_json(preprocessor / "preprocessor.json")["kind"]
            fitted = get_task(kind).load_preprocessor(preprocessor)
            session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common base class for what a broken file raises
            raise DataError(f"cannot load the model {onnx} with {preprocessor}: {error}") from error
        return cls(session, fitted)

    @property
    def classes(self) -> list[str]:
        return self.preprocessor.classes

    def probabilities(self, examples: "pa.Table") -> NDArray[np.float64]:
        """Examples in request form -> class probabilities (N, classes)."""
        return self._run(
            self.preprocessor.transform(examples.slice(start, BATCH)) for start in range(0, examples.num_rows, BATCH)
        )

    def predict(self, records: list[dict[str, Any]]) -> NDArray[np.float64]:
        """JSON-like requests -> class probabilities (N, classes).

        Raises BadRecord for the first record that cannot be decoded.
        """
        inputs = self.preprocessor.inputs(records)
        return self._run(
            {name: array[start : start + BATCH] for name, array in inputs.items()}
            for start in range(0, len(records), BATCH)
        )

    def _run(self, batches: Iterable[Arrays]) -> NDArray[np.float64]:
        outputs = [self.session.run(None, batch)[0] for batch in batches]
        stacked = np.concatenate(outputs) if outputs else np.zeros((0, len(self.classes)))
        return stacked.astype(np.float64)

    def answer(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """JSON-like requests -> JSON-like answers: class, confidence and all probabilities."""
        answers = []
        for row in self.predict(records):
            best = int(row.argmax())
            probabilities = {name: float(p) for name, p in zip(self.classes, row, strict=True)}
            answers.append(
                {"class": self.classes[best], "confidence": float(row[best]), "probabilities": probabilities}
            )
        return answers
