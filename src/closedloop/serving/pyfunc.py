"""The registered model's entry point, run by MLflow from the copy of this package inside the model (no pickle)."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from closedloop.serving.predictor import Predictor


class ServedModel(PythonModel):
    """Answers a table of requests with class, confidence and all probabilities."""

    def load_context(self, context: Any) -> None:
        artifacts = context.artifacts
        self.predictor = Predictor.load(Path(artifacts["model"]), Path(artifacts["preprocessor"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ARG002
        records: list[dict[str, Any]] = [
            dict(zip(model_input.columns, row, strict=True)) for row in model_input.to_numpy()
        ]
        return pd.DataFrame(self.predictor.answer(records))


mlflow.models.set_model(ServedModel())
