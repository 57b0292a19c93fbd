"""Which example goes where: stratified, seeded, and never the same content in two splits."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from closedloop.config import Preprocess
from closedloop.errors import DataError
from closedloop.paths import SPLITS

DROPPED = "dropped"  # a copy of an official test example outside the official test split


def assign_splits(
    fingerprints: NDArray[np.uint64], labels: NDArray[np.str_], parts: NDArray[np.str_], config: Preprocess
) -> NDArray[np.str_]:
    """Name the split of each example: train, validation, test, production or dropped.

    An official test part is kept whole; its copies elsewhere are dropped. Everything else is cut within each class in
    the order of a seeded hash of the content, so that neither the order of the rows nor the platform matters, copies
    stay together, and most assignments survive when rows are added.

    Raises DataError when a split comes out empty.
    """
    splits = np.full(len(parts), DROPPED, dtype="<U10")
    official = parts == "test"
    splits[official] = "test"
    free = ~official & ~np.isin(fingerprints, fingerprints[official])
    shares = {"validation": config.validation_share, "production": config.production_share}
    if not official.any():
        shares = {"test": config.test_share, **shares}

    # one representative for each distinct content: the label of conflicting copies must not depend on their order
    order = np.lexsort((labels, fingerprints))
    order = order[free[order]]
    content, first = np.unique(fingerprints[order], return_index=True)
    content_label = labels[order][first]
    content_split = np.full(len(content), "train", dtype="<U10")
    ranks = _seeded_hash(content, config.seed)
    for label in np.unique(content_label):
        members = np.flatnonzero(content_label == label)
        members = members[np.argsort(ranks[members], kind="stable")]
        bounds = np.round(np.cumsum(list(shares.values())) * len(members)).astype(int)
        for split, start, stop in zip(shares, [0, *bounds], bounds, strict=False):
            content_split[members[start:stop]] = split
    splits[free] = content_split[np.searchsorted(content, fingerprints[free])]

    for split in SPLITS:
        if not (splits == split).any():
            raise DataError(
                f"the {split} split is empty: {len(content)} distinct examples are too few for the "
                f"shares in preprocess ({', '.join(f'{name} {share}' for name, share in shares.items())}); add data "
                "or change them"
            )
    return splits


def _seeded_hash(content: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    key = seed.to_bytes(8, "little")
    digests = (hashlib.blake2b(value.tobytes(), digest_size=8, key=key).digest() for value in content.astype("<u8"))
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
