"""What an answer costs on this machine."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from closedloop.serving.predictor import Predictor

WARM_UP, CALLS = 20, 300  # the first calls allocate memory and start threads; 300 give a steady 95th percentile
BULK_ROWS = 2048
MEASURED = (
    "one example in request form through the fitted transform and ONNX Runtime to its answer, in process; "
    "decoding of JSON, HTTP and logging are not included"
)


def measure(predictor: Predictor, examples: pa.Table, model: Path, preprocessor: Path) -> dict[str, Any]:
    """Time of single calls (milliseconds), throughput in bulk (examples a second), and bytes of what is deployed."""
    single = [examples.slice(row % examples.num_rows, 1) for row in range(WARM_UP + CALLS)]
    for example in single[:WARM_UP]:
        _ask(predictor, example)
    times = np.array([_milliseconds(partial(_ask, predictor, example)) for example in single[WARM_UP:]])
    bulk = examples.slice(0, BULK_ROWS)
    predictor.answers(bulk)
    fastest = min(_milliseconds(partial(predictor.answers, bulk)) for _ in range(3))
    files = [model, *(path for path in sorted(preprocessor.rglob("*")) if path.is_file())]
    return {
        "latency_ms_median": round(float(np.median(times)), 4),
        "latency_ms_p95": round(float(np.quantile(times, 0.95)), 4),
        "latency_calls": CALLS,
        "latency_measured": MEASURED,
        "examples_per_second": round(bulk.num_rows / fastest * 1000, 1),
        "size_bytes": sum(path.stat().st_size for path in files),
    }


def _ask(predictor: Predictor, example: pa.Table) -> None:
    """Of a model that makes something, that as well: then a request is read besides."""
    if predictor.writes:
        predictor.answer(predictor.preprocessor.encode(example))
    else:
        predictor.answers(example)


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000
