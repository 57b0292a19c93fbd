"""A window of what the server has answered, out of the prediction log, and the reference to judge it against."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine

from closedloop.config import Params
from closedloop.data.examples import ID, LABEL, read_examples
from closedloop.data.partitions import newest_test_rows
from closedloop.errors import ConfigError, DataError
from closedloop.evaluation.profile import CONFIDENCE, PREDICTION, VERSION
from closedloop.files import atomic
from closedloop.monitoring.service import LATENCY, TIME
from closedloop.monitoring.traffic import FACTS, observe
from closedloop.paths import Paths
from closedloop.prediction_log import describing, reading
from closedloop.prediction_log.clock import to_micros
from closedloop.prediction_log.schema import CHAMPION
from closedloop.registry.aliases import Champion, load_version
from closedloop.registry.store import connect, tracking_uri, translated
from closedloop.tasks import get_task

ANSWERED = (PREDICTION, CONFIDENCE, LABEL, VERSION, TIME, LATENCY)  # columns of the log besides what is described


def collect(params: Params, paths: Paths, engine: Engine) -> dict[str, Any]:
    """Write the profile of the window [traffic.start, traffic.end) of the log, and the reference of its version.

    One version is judged at a time: the one that answered last as champion. Returns the window in figures: its bounds,
    rows, version, the rows of other versions that are left out, and the requests by status.
    Raises ConfigError without bounds, DataError where the log holds no answer between them.
    """
    start, end = bounds(params)
    name = params.task.name
    version, left_out = judged_version(_select(reading.batches(engine, name, start, end), ["version", "role"]))
    deployed = _load(params, version)
    describing.describe(engine, name, (start, end), deployed.predictor.preprocessor, get_task(params.task.kind))
    answers = _select(reading.batches(engine, name, start, end, version), [ID, "descriptors", *ANSWERED])
    facts = {
        "start": params.traffic.start,
        "end": params.traffic.end,
        "left_out": left_out,
        "requests": {str(status): n for status, n in reading.request_counts(engine, name, start, end).items()},
    }
    reference = observe(deployed.predictor, version, _reference_examples(params, paths, deployed), params)
    window = profile_of(answers, reference)
    with atomic(paths.champion_reference) as temporary:
        reference.to_parquet(temporary, index=False)
    with atomic(paths.traffic) as temporary:
        table = pa.Table.from_pandas(window, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), FACTS: json.dumps(facts).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
    return {**facts, "rows": len(window), "version": version}


def bounds(params: Params) -> tuple[int, int]:
    """The bounds in microseconds; raises ConfigError where there are none."""
    config = params.traffic
    if config.start is None or config.end is None:
        raise ConfigError(
            "traffic.source is log, and traffic.start and traffic.end are not set: `make monitor ARGS=traffic=log` "
            "finds the next window and writes its bounds down; `make params ARGS=traffic=clean` returns to examples"
        )
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
    of_champion = [version for version, role in zip(versions, roles, strict=True) if role == CHAMPION]
    judged = (of_champion or versions)[-1]
    return judged, {str(version): rows for version, rows in sorted(Counter(versions).items()) if version != judged}


def _load(params: Params, version: int) -> Champion:
    """The version that answered: it need not be today's champion, so that a check can be repeated."""
    client = connect(params)
    with translated(tracking_uri(params)):
        return load_version(client, params.task.name, version)


def profile_of(answers: pa.Table, reference: pd.DataFrame) -> pd.DataFrame:
    """The profile of answers with their descriptors, its columns of the reference's kinds, then time and latency.

    What could not be described is missing. Raises DataError where the descriptors are others than the reference's.
    """
    names = [name for name in reference.columns if name not in (ID, *ANSWERED)]
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
    for name in ANSWERED:
        kind = object if name in (PREDICTION, LABEL) else None
        frame[name] = pd.Series(answers.column(name).to_pylist(), dtype=kind)
    return frame


def _reference_examples(params: Params, paths: Paths, deployed: Champion) -> pa.Table:
    """The test examples of the newest partition, where they are enough: that is what the version was trained for."""
    test = read_examples(paths.examples("test"))
    newest = newest_test_rows(test)
    return test if newest is None or newest.num_rows < params.monitor.min_rows else newest
