"""The test split by the parts of the raw data: which of them a registered version knows of, and what is news to it."""

import hashlib
import io
import json
from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from closedloop.config import AnyGate
from closedloop.data.examples import ID, LABEL, PART
from closedloop.data.partitions import is_feedback
from closedloop.errors import DataError
from closedloop.evaluation.answers import Answers
from closedloop.evaluation.comparison import Comparison, compare
from closedloop.evaluation.outcomes import as_score
from closedloop.evaluation.predictions import Predictions

Fingerprints = NDArray[np.uint64]  # of the content of each example, as `Task.fingerprints` tells them

TAG = "test_parts"  # of a version: JSON, the digest of the test examples of each part of its raw data
CONTENTS = "test_contents"  # of a version: the digest of the contents of its test examples
TAG_BEFORE = "test_split"  # of a version registered before there were partitions: checksum of its test examples' file


def part_names(examples: pa.Table) -> list[str]:
    """The part of each test example, in their order.

    Raises DataError for examples of a time when their part was not kept.
    """
    if PART not in examples.column_names:
        raise DataError("the test examples do not tell their part; run `dvc repro` from preprocess on")
    return [str(part) for part in examples.column(PART).to_pylist()]


def part_digests(examples: pa.Table, fingerprints: Fingerprints, parts: Collection[str]) -> dict[str, str]:
    """The digest of the test examples of each of the parts: of their ids, labels and contents, in any order.

    `parts` are all of the raw data: a part without test examples is known to a version, too.
    """
    columns = (part_names(examples), examples.column(ID).to_pylist(), examples.column(LABEL).to_pylist())
    rows = sorted(zip(*columns, fingerprints.tolist(), strict=True))
    digests = {part: hashlib.blake2b(digest_size=16) for part in (*parts, *columns[0])}
    for part, *row in rows:
        digests[part].update(json.dumps(row).encode())
    return {part: digest.hexdigest() for part, digest in digests.items()}


def contents_digest(fingerprints: Fingerprints) -> str:
    """The digest of the examples' contents, in any order: other tasks on the same data have other ids and labels."""
    return hashlib.blake2b(np.sort(fingerprints).tobytes(), digest_size=16).hexdigest()


def known_parts(tags: Mapping[str, str], digests: Mapping[str, str], examples: pa.Table) -> set[str] | None:
    """The parts of today's test split that the version with these tags was tested on, exactly as they are today.

    None when it cannot have been kept from today's other test examples: when one of its parts was cut otherwise, or an
    official part is new. `digests` are today's.
    """
    if TAG not in tags:
        base = {part for part in digests if not is_feedback(part)}
        return base if tags.get(TAG_BEFORE) == _digest_before(examples) else None
    try:
        then = dict(json.loads(tags[TAG]))
    except (ValueError, TypeError):
        return None
    known = {part for part, digest in digests.items() if then.get(part) == digest}
    new = {part for part in digests if part not in then and is_feedback(part)}
    return known if known | new == set(digests) else None


def _digest_before(examples: pa.Table) -> str:
    """The checksum that the file of the test examples had when it held the official parts alone and not their names."""
    official = examples.filter(pa.array([not is_feedback(part) for part in part_names(examples)])).drop_columns([PART])
    plain = official.cast(pa.schema([(field.name, _plain(field.type)) for field in official.schema]))
    buffer = io.BytesIO()
    pq.write_table(plain.combine_chunks(), buffer, compression="zstd")
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type with the names that Arrow gives to lists' items by itself; Parquet renames them."""
    return pa.list_(_plain(kind.value_type), kind.list_size) if pa.types.is_fixed_size_list(kind) else kind


def compare_by_parts(
    challenger: Answers, champion: Answers, recent_ids: Collection[str], gate: AnyGate
) -> tuple[Comparison, Comparison | None]:
    """Compare two models on the test examples that the champion knows of, and on the recent ones; None without any.

    Fewer than gate.min_recent recent examples get an interval that says nothing. Raises DataError as `compare` does.
    """
    ours, theirs = ((found.without(recent_ids), found.only(recent_ids)) for found in (challenger, champion))
    known = compare(ours[0], theirs[0], gate.metric, gate.confidence)
    if not ours[1].ids:
        return known, None
    if len(ours[1].ids) < gate.min_recent:
        return known, _unproven(ours[1], theirs[1], gate)
    return known, compare(ours[1], theirs[1], gate.metric, gate.confidence)


def _unproven(ours: Answers, theirs: Answers, gate: AnyGate) -> Comparison:
    if isinstance(ours, Predictions) and isinstance(theirs, Predictions) and gate.metric == "accuracy":
        mine, its = float(ours.correct.mean()), float(theirs.correct.mean())
        gain = mine - its
    else:
        losses = [float(found.losses(gate.metric).mean()) for found in (ours, theirs)]
        (mine, its), gain = (as_score(gate.metric, loss) for loss in losses), losses[1] - losses[0]
    bound = max(1.0, abs(gain))
    return Comparison(
        gate.metric, len(ours.ids), mine, its, gain, -bound, bound, gate.confidence, "too few for an interval"
    )
