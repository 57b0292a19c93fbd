"""A window of what the server has answered, out of the prediction log, and the reference to judge it against."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, PART, read_examples
from closedloop.data.partitions import is_feedback
from closedloop.errors import ConfigError, DataError
from closedloop.evaluation.outcomes import NATS, RETURN
from closedloop.evaluation.parts import TAG
from closedloop.evaluation.profile import CONFIDENCE, PREDICTION, VERSION, WIDTH, add_answers
from closedloop.files import atomic
from closedloop.monitoring.schedule import require_settled
from closedloop.monitoring.service import LATENCY, TIME
from closedloop.monitoring.traffic import FACTS, observe
from closedloop.paths import Paths
from closedloop.prediction_log import describing, reading
from closedloop.prediction_log.clock import to_micros
from closedloop.prediction_log.schema import CANARY
from closedloop.serving.predictor import Predictor
from closedloop.targets import Target
from closedloop.tasks import get_task

ANSWERED = (PREDICTION, CONFIDENCE, LABEL, VERSION, TIME, LATENCY)  # columns of the log besides what is described


@dataclass(frozen=True)
class Answering:
    """The version that answered: it need not be today's champion, so that a check can be repeated."""

    version: int
    predictor: Predictor
    known: frozenset[str]  # the parts of the data that it was trained on


def collect(params: Params, paths: Paths, engine: Engine, load: Callable[[int], Answering]) -> dict[str, Any]:
    """Write the profile of the window [traffic.start, traffic.end) of the log, and the reference of its version.

    One version is judged at a time: the one that answered last as champion. Returns the window in figures: its bounds,
    rows, version, the rows of other versions that are left out, and the requests by status.
    Raises ConfigError without bounds, DataError where the log holds no answer between them.
    """
    start, end = bounds(params)
    name = params.task.name
    version, left_out = judged_version(_select(reading.batches(engine, name, start, end), ["version", "role"]))
    deployed = load(version)
    describing.describe(engine, name, (start, end), deployed.predictor.preprocessor, get_task(params.task.kind))
    answers = _select(reading.batches(engine, name, start, end, version), [ID, "descriptors", *ANSWERED])
    facts = {
        "start": params.traffic.start,
        "end": params.traffic.end,
        "left_out": left_out,
        "requests": {str(status): n for status, n in reading.request_counts(engine, name, start, end).items()},
    }
    examples = reference_examples(read_examples(paths.examples("test")), deployed.known, params.monitor.min_rows)
    reference = observe(deployed.predictor, version, examples, params)
    window = profile_of(answers, reference, deployed.predictor.target)
    with atomic(paths.champion_reference) as temporary:
        reference.to_parquet(temporary, index=False)
    with atomic(paths.traffic) as temporary:
        table = pa.Table.from_pandas(window, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), FACTS: json.dumps(facts).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
    return {**facts, "rows": len(window), "version": version}


def bounds(params: Params) -> tuple[int, int]:
    """The bounds in microseconds; raises ConfigError where there are none, or the window is not over."""
    config = params.traffic
    if config.start is None or config.end is None:
        raise ConfigError(
            "traffic.source is log, and traffic.start and traffic.end are not set: `make monitor ARGS=traffic=log` "
            "finds the next window and writes its bounds down; `make params ARGS=traffic=clean` returns to examples"
        )
    require_settled(params)
    return to_micros(config.start), to_micros(config.end)


def _select(batches: Iterable[pa.RecordBatch], names: list[str]) -> pa.Table:
    """Some columns of a window; the requests need not fit into memory all at once."""
    return pa.Table.from_batches(
        (batch.select(names) for batch in batches), pa.schema([(name, reading.TYPES[name]) for name in names])
    )


def judged_version(answers: pa.Table) -> tuple[int, dict[str, int]]:
    """The version that answered last as champion, or last at all, and the rows of the others by version.

    A canary answers a few requests among many: judged alone, its rows would mostly be too few.
    Raises DataError where nobody answered.
    """
    versions, roles = answers.column("version").to_pylist(), answers.column("role").to_pylist()
    if not versions:
        raise DataError(
            "the log holds no answers between traffic.start and traffic.end: they have been pruned (log.keep_days), "
            "or CLOSEDLOOP_LOG_URI names another log"
        )
    of_champion = [version for version, role in zip(versions, roles, strict=True) if role != CANARY]
    judged = (of_champion or versions)[-1]
    return judged, {str(version): rows for version, rows in sorted(Counter(versions).items()) if version != judged}


def profile_of(answers: pa.Table, reference: pd.DataFrame, target: Target) -> pd.DataFrame:
    """The profile of answers with their descriptors, its columns of the reference's kinds, then time and latency.

    What could not be described is missing. Raises DataError where the descriptors are others than the reference's.
    """
    names = [name for name in reference.columns if name not in (ID, WIDTH, NATS, RETURN, *ANSWERED)]
    described = [json.loads(text) if text else {} for text in answers.column("descriptors").to_pylist()]
    found = set().union(*described)
    if found and found != set(names):
        raise DataError(
            f"the log's descriptors and the reference's differ in {', '.join(sorted(found ^ set(names)))}: the answers "
            "were described by another version of the code; check a later window"
        )
    frame = pd.DataFrame({ID: pd.Series(answers.column(ID).to_pylist(), dtype=object)})
    for name in names:
        values = pd.Series([row.get(name) for row in described], dtype=object)
        frame[name] = values.astype(np.float64) if reference[name].dtype == np.float64 else values
    add_answers(frame, answers.column(PREDICTION).to_pylist(), answers.column(CONFIDENCE).to_pylist(), target)
    for name in (LABEL, VERSION, TIME, LATENCY):
        frame[name] = pd.Series(answers.column(name).to_pylist(), dtype=object if name == LABEL else None)
    return frame


def reference_examples(test: pa.Table, known: Collection[str], min_rows: int) -> pa.Table:
    """The test examples to judge a version by.

    Where it was retrained on labelled feedback, and the newest partition in `known` has at least `min_rows` test
    examples, those alone: they are the world that it was trained for. A partition that came after it does not count,
    else a model that a changed world has left behind would be judged by that world and found clean.
    """
    if PART not in test.column_names:
        return test
    parts = [str(part) for part in test.column(PART).to_pylist()]
    newest = next((part for part in reversed(parts) if is_feedback(part) and part in known), None)
    if newest is None or parts.count(newest) < min_rows:
        official = pa.array([not is_feedback(part) or part in known for part in parts])
        return test.filter(official)
    return test.filter(pa.array([part == newest for part in parts]))


def load_answering(params: Params, version: int) -> Answering:
    """Load a version from the registry. Raises RegistryError when it or its files are gone."""
    from closedloop.registry.aliases import load_version
    from closedloop.registry.watch import version_tags

    parts = json.loads(version_tags(params, version).get(TAG, "{}"))
    return Answering(version, load_version(params, version).predictor, frozenset(parts))
