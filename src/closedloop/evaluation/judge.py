"""A registered classifier as a judge of images: what it sees in them, and which class it takes them for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from closedloop.data.array_columns import to_column
from closedloop.data.examples import ID
from closedloop.errors import DataError
from closedloop.files import read_json
from closedloop.serving.predictor import BATCH
from closedloop.targets import Classes, load_target
from closedloop.tasks import get_task
from closedloop.tasks.images.request import IMAGE, Form
from closedloop.tasks.images.task import ImagePreprocessor

Floats = NDArray[np.float64]
LAST_LAYER = ("Gemm", "MatMul")  # of ONNX: what makes classes of features


@dataclass(frozen=True)
class Judge:
    """Features are the inputs of the classifier's last layer, as Heusel et al. (2017) have them."""

    name: str
    version: int
    classes: tuple[str, ...]
    session: Any  # onnxruntime.InferenceSession
    preprocessor: ImagePreprocessor
    tested_on: str | None = None  # digest of the contents of its own test images, where its version tells it

    @classmethod
    def load(
        cls, name: str, version: int, onnx_file: Path, preprocessor: Path, tested_on: str | None = None
    ) -> "Judge":
        """Raises DataError for a model that is no classifier of images, or has no last layer that could be found."""
        import onnx
        import onnxruntime

        kind = read_json(preprocessor / "preprocessor.json")["kind"]
        if kind != "images" or not isinstance(target := load_target(preprocessor), Classes):
            raise DataError(
                f"evaluation.judge: {name} is no classifier of images, and images are judged by one; `make models "
                "TASK=…` tells what is registered"
            )
        model = onnx.load(onnx_file)
        layers = [node for node in model.graph.node if node.op_type in LAST_LAYER]
        if not layers:
            raise DataError(f"evaluation.judge: version {version} of {name} has no last layer of features")
        model.graph.output.append(onnx.ValueInfoProto(name=layers[-1].input[0]))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        fitted = get_task("images").load_preprocessor(preprocessor)
        assert isinstance(fitted, ImagePreprocessor)  # noqa: S101  as it tells classes
        return cls(name, version, target.names, session, fitted, tested_on)

    def require_form(self, form: Form) -> None:
        """Raises DataError when images of this form are none that it can look at."""
        if self.preprocessor.form.shape != form.shape:
            raise DataError(
                f"evaluation.judge: {self.name} takes images of {self.preprocessor.form.shape}, these are "
                f"{form.shape}; name a classifier of images like these, or set source.format.size"
            )

    def look(self, images: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.intp]]:
        """Features (N, K) and the most probable class (N,) of images (N, H, W) or (N, H, W, 3).

        Raises DataError for images of another form than the classifier's.
        """
        found = []
        for start in tqdm(range(0, len(images), BATCH), desc="judge", unit="batch", delay=2, leave=False):
            batch = images[start : start + BATCH]
            table = pa.table({ID: list(map(str, range(len(batch)))), IMAGE: to_column(batch)})
            found.append(self.session.run(None, self.preprocessor.transform(table)))
        answers, features = (np.concatenate(outputs) for outputs in zip(*found, strict=True))
        return features.reshape(len(features), -1).astype(np.float64), answers.argmax(axis=1)
