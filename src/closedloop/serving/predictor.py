"""Answers requests with an ONNX model and the fitted transform; needs neither torch nor MLflow."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import read_json
from closedloop.targets import Target, load_target
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
    target: Target

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
            target = load_target(preprocessor)
            session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common base class for what a broken file raises
            raise DataError(f"cannot load the model {onnx} with {preprocessor}: {error}") from error
        return cls(session, fitted, target)

    def answers(self, examples: "pa.Table") -> NDArray[np.float64]:
        """Examples in request form -> answers (N, width), which the target knows to read."""
        return self._run(
            self.preprocessor.transform(examples.slice(start, BATCH)) for start in range(0, examples.num_rows, BATCH)
        )

    def predict(self, records: list[dict[str, Any]]) -> NDArray[np.float64]:
        """JSON-like requests -> answers (N, width).

        Raises BadRecord for the first record that cannot be decoded.
        """
        inputs = self.preprocessor.inputs(records)
        return self._run(
            {name: array[start : start + BATCH] for name, array in inputs.items()}
            for start in range(0, len(records), BATCH)
        )

    def _run(self, batches: Iterable[Arrays]) -> NDArray[np.float64]:
        outputs = [self.session.run(None, batch)[0] for batch in batches]
        stacked = np.concatenate(outputs) if outputs else np.zeros((0, self.target.width))
        return stacked.astype(np.float64)

    def answer(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """JSON-like requests -> JSON-like answers."""
        return [self.target.shown(row) for row in self.predict(records).tolist()]
