"""Raw examples -> splits, a transform fitted on the training split, and packed tensors."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from closedloop.config import Params
from closedloop.data.examples import (
    GROUP,
    LABEL,
    PART,
    TIME,
    UNASKED,
    labels,
    read_examples,
    slices,
    strings,
    texts,
    write_examples,
)
from closedloop.data.partitions import official
from closedloop.data.splits import DROPPED, assign_splits, joined
from closedloop.data.tensors import TARGETS, write_tensors
from closedloop.paths import SPLITS, Paths
from closedloop.preparation.raw import feedback_parts, read_raw
from closedloop.targets import Target, fit_target, flawed, of_task, save_target
from closedloop.targets.strata import strata
from closedloop.tasks import get_task
from closedloop.tasks.base import Arrays, Preprocessor

UNKNOWN = "unknown"  # in place of a split: the label is none


def preprocess(params: Params, paths: Paths) -> dict[str, Any]:
    """Write examples, preprocessor and tensors of all splits; return the counts by split and class, and by part."""
    task = get_task(params.task.kind)
    raw = read_raw(paths.raw, params)
    splits = split_examples(raw, params)
    known = splits != UNKNOWN
    parts, names = strings(raw.column(PART))[known], raw.column(LABEL).filter(pa.array(known))
    groups = strata(params.task, texts(names), official(parts))
    for split in SPLITS:
        write_examples(paths.examples(split), raw, splits == split)
    splits = splits[known]
    del raw  # a large table has no room twice
    train = read_examples(paths.examples("train"))
    preprocessor = task.fit(train, params)
    preprocessor.save(paths.preprocessor)
    target = fit_target(params.task, labels(train), preprocessor.cardinalities)
    del train
    save_target(target, paths.preprocessor)
    for split in tqdm(("train", "validation"), desc="transform", unit="split"):  # test and production: as requests
        examples = read_examples(paths.examples(split))
        tensors = (transform(preprocessor, target, part) for part in slices(examples))
        write_tensors(paths.tensors(split), tensors, examples.num_rows, preprocessor.cardinalities)
    return {
        "seed": params.preprocess.seed,
        "splits": {
            split: {"examples": int((splits == split).sum()), "classes": groups.counts(splits == split)}
            for split in SPLITS
        },
        "parts": {
            part: {split: int(((splits == split) & (parts == part)).sum()) for split in (*SPLITS, DROPPED)}
            for part in dict.fromkeys(parts.tolist())
        },
        "dropped": int((splits == DROPPED).sum()),
        "unknown_label": int((~known).sum()),
    }


def split_examples(examples: pa.Table, params: Params) -> NDArray[np.str_]:
    """The split of each example, DROPPED, or UNKNOWN where its label is none.

    Raises DataError when a split comes out empty.
    """
    # such a label has passed validation only within its thresholds; it cannot be learnt from
    known = ~flawed(of_task(params.task), strings(examples.column(LABEL)))
    contents = get_task(params.task.kind).fingerprints(examples)[known]
    aside = [PART, LABEL, *(name for name in UNASKED if name in examples.column_names)]
    examples = examples.select(aside).filter(pa.array(known))
    parts = strings(examples.column(PART))
    groups = strata(params.task, labels(examples), official(parts))
    together = joined(contents, examples.column(GROUP).to_pylist()) if GROUP in examples.column_names else None
    times = examples.column(TIME).to_numpy() if TIME in examples.column_names else None
    feedback = feedback_parts(examples)
    names = np.array(groups.of)
    splits = assign_splits(contents, names, parts, params.preprocess, feedback, together=together, times=times)
    found = np.full(len(known), UNKNOWN, splits.dtype)
    found[known] = splits
    return found


def transform(preprocessor: Preprocessor, target: Target, examples: pa.Table) -> Arrays:
    """Examples -> the network's inputs by name, and the targets (N, …), in their order."""
    inputs = preprocessor.transform(examples)
    return {**inputs, TARGETS: target.encode(labels(examples), inputs)}
