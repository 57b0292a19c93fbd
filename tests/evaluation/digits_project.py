"""A linear model of the scanned digits as an ONNX file, written without torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

from closedloop.config import Params
from closedloop.data.array_columns import to_column
from closedloop.data.examples import ID, LABEL, PART
from closedloop.paths import Paths
from closedloop.tasks.images.request import IMAGE


@dataclass(frozen=True)
class Project:
    """The files that evaluate starts from, below a folder of its own."""

    params: Params
    paths: Paths
    test: pa.Table


def digits(rows: slice) -> pa.Table:
    content = load_digits()
    images = np.round(content.images[rows] * 255 / 16).astype(np.uint8)
    names = [str(code) for code in content.target[rows]]
    ids = [f"all-{i:06d}" for i in range(rows.start, rows.stop)]
    return pa.table({ID: ids, PART: ["all"] * len(ids), IMAGE: to_column(images), LABEL: names})


def write_linear_model(path: Path, weights: np.ndarray, bias: np.ndarray, shape: tuple[int, ...]) -> None:
    """softmax(flatten(x) W + b) as an ONNX file with inputs (batch, *shape)."""
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["inputs"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "linear",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(bias)])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(bias.astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
