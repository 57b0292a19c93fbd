"""A trained model as an MLflow model: ONNX, the fitted transform and the code that they need; no pickle, no torch."""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import closedloop
from closedloop.errors import RegistryError
from closedloop.paths import Paths
from closedloop.serving import selfcheck

PACKAGE = Path(closedloop.__file__).parent
RUNTIME = ("mlflow", "numpy", "onnxruntime", "pandas", "pillow", "pyarrow", "pydantic", "pyyaml")


def package(run_id: str, paths: Paths, records: list[dict[str, Any]], answers: list[dict[str, Any]]) -> str:
    """Log the model of paths.model to a run; return its uri. `records` and `answers` are an example of use."""
    import mlflow
    import pandas as pd

    with mlflow.start_run(run_id=run_id):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PACKAGE / "serving" / "pyfunc.py"),
            artifacts={"model": str(paths.model / "model.onnx"), "preprocessor": str(paths.preprocessor)},
            code_paths=[str(PACKAGE)],
            signature=signature(records, answers),
            input_example=pd.DataFrame(records),
            # inferring them would take ten seconds and import torch
            pip_requirements=[f"{name}=={version(name)}" for name in RUNTIME],
        )
    return str(info.model_uri)


def signature(records: list[dict[str, Any]], answers: list[dict[str, Any]]) -> Any:
    """The columns of requests and of answers, as MLflow notes them."""
    import pandas as pd
    from mlflow.models import infer_signature

    with warnings.catch_warnings():
        # that a gap makes floats of whole numbers, which MLflow then refuses: requests in JSON leave the field out
        warnings.filterwarnings("ignore", message=".*integer column")
        return infer_signature(pd.DataFrame(records), pd.DataFrame(answers))


def answers_of(model_uri: str, records: list[dict[str, Any]], tracking_uri: str) -> list[dict[str, Any]]:
    """The packaged model's answers, from a fresh process in which torch cannot be imported.

    Raises RegistryError with that process's last words when the model does not load or answer there.
    """
    with tempfile.TemporaryDirectory() as folder:
        requests, answers = Path(folder) / "requests.json", Path(folder) / "answers.json"
        requests.write_text(json.dumps(records), encoding="utf-8")
        finished = subprocess.run(
            # -P: the folder of the script must not become a place to import from
            [sys.executable, "-P", str(Path(selfcheck.__file__)), model_uri, str(requests), str(answers)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri},
        )
        if finished.returncode != 0 or not answers.is_file():
            last = (finished.stderr.strip() or "no output").splitlines()[-1]
            raise RegistryError(f"the packaged model does not work in a process without torch: {last}")
        result: list[dict[str, Any]] = json.loads(answers.read_text(encoding="utf-8"))
        return result
