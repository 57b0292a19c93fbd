"""A window of production examples through the champion, shifted on purpose where the configuration says so."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from closedloop.config import Params, Traffic
from closedloop.data.examples import ID, read_examples
from closedloop.data.partitions import is_feedback
from closedloop.errors import DataError
from closedloop.evaluation.assessment import seen
from closedloop.evaluation.profile import VERSION, profile
from closedloop.files import atomic, read_json
from closedloop.paths import Paths
from closedloop.serving.predictor import Predictor
from closedloop.tasks import get_task


def draw_window(examples: pa.Table, window: int, rng: np.random.Generator) -> pa.Table:
    """`window` examples drawn without replacement, in their order; all of them where there are no more."""
    if examples.num_rows <= window:
        return examples
    return examples.take(pa.array(np.sort(rng.choice(examples.num_rows, window, replace=False))))


def observe(
    predictor: Predictor, version: int, examples: pa.Table, params: Params, config: Traffic | None = None
) -> pd.DataFrame:
    """The profile of a window drawn from the examples, shifted and answered; without `config`, of all as they are."""
    task = get_task(params.task.kind)
    if config is not None:
        rng = np.random.default_rng(config.seed)
        examples = task.shift(draw_window(examples, config.window, rng), config.scenario, config.severity, rng)
    examples = seen(predictor, examples, params)
    frame = profile(task, examples, predictor.answers(examples), predictor.target)
    frame[VERSION] = version
    return frame


def send(params: Params, paths: Paths, champion: Any) -> pd.DataFrame:
    """Send a window through the champion; write and return its profile, and write the reference to judge it against.

    That is the one that `evaluate` made, unless another version is deployed than was evaluated: confidence and
    predictions of two models differ without any drift, so the deployed one then answers the test examples again.
    Raises DataError when there are no production examples.
    """
    pool, config = read_examples(paths.examples("production")), params.traffic
    if pool.num_rows < config.window:
        print(
            f"closedloop: traffic.window asks for {config.window} examples, the production split holds "
            f"{pool.num_rows}: all are used (raise preprocess.production_share for more)",
            file=sys.stderr,
        )
    window = observe(champion.predictor, champion.version, pool, params, config)
    with atomic(paths.traffic) as temporary:
        window.to_parquet(temporary, index=False)
    evaluated = read_json(paths.report("registration.json"))["version"]
    if champion.version == evaluated:
        reference = pd.read_parquet(paths.reference)
    else:
        reference = observe(champion.predictor, champion.version, read_examples(paths.examples("test")), params)
    # labelled feedback holds none of the production examples' kind, but what the world had become
    reference = reference[~reference[ID].map(is_feedback)]
    with atomic(paths.champion_reference) as temporary:
        reference.to_parquet(temporary, index=False)
    return window


FACTS = b"closedloop.window"  # key of a Parquet file's metadata: facts about a window of the log besides its rows


def read_facts(path: Path) -> dict[str, Any] | None:
    """What the log says about a window besides its rows; None for a window of production examples."""
    content = (pq.read_schema(path).metadata or {}).get(FACTS)
    return json.loads(content) if content else None


def read_profile(path: Any) -> pd.DataFrame:
    """Read a profile.

    Raises DataError when the file is missing, unreadable or empty.
    """
    frame: pd.DataFrame = read_examples(path).to_pandas()
    missing = [name for name in ("id", "label") if name not in frame]
    if missing:
        raise DataError(f"{path} is no profile: it lacks {', '.join(missing)}; run `dvc repro` to make it again")
    return frame
