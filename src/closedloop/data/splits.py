"""Which example goes where: stratified, seeded, and never the same content in two splits."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from closedloop.config import Preprocess
from closedloop.errors import DataError
from closedloop.paths import SPLITS

# a copy of an official test example elsewhere, or of an earlier example in a feedback part; or any, where so configured
DROPPED = "dropped"

Hashes = NDArray[np.uint64]
Strings = NDArray[np.str_]


def assign_splits(
    fingerprints: Hashes, labels: Strings, parts: Strings, config: Preprocess, feedback: Sequence[str] = ()
) -> Strings:
    """Name the split of each example: train, validation, test, production or dropped.

    An official test part is kept whole; its copies elsewhere are dropped. Everything else is cut within each class in
    the order of a seeded hash of the content, so that neither the order of the rows nor the platform matters, copies
    stay together, and most assignments survive when rows are added.

    `feedback` names the parts that came later, the earliest first. Each example of them goes to test, validation or
    train by its content alone, but for what stands in an earlier part; the splits of all earlier parts are as they were
    without it.

    With `config.copies` "drop" only the first example of each content has a split, but in an official test part.

    Raises DataError when a split of the official parts comes out empty.
    """
    splits = np.full(len(parts), DROPPED, dtype="<U10")
    base = ~np.isin(parts, feedback)
    splits[base] = _cut_base(fingerprints[base], labels[base], parts[base], config)
    known = base
    for name in feedback:
        part = parts == name
        fresh = part & ~np.isin(fingerprints, fingerprints[known])
        splits[fresh] = _cut_feedback(fingerprints[fresh], config)
        known = known | part
    if config.copies == "drop":
        splits[_further_copies(fingerprints) & (parts != "test")] = DROPPED
    return splits


def joined(fingerprints: Hashes, groups: Sequence[str | None]) -> Hashes:
    """In place of the contents, what `assign_splits` must keep together: rows of one group, and copies, in any chain.

    It is the least hash of a group in the chain, or the content of a row without one.
    """
    _, content = np.unique(fingerprints, return_inverse=True)
    names, group = np.unique([name or "" for name in groups], return_inverse=True)
    grouped = np.array([name is not None for name in groups])
    # a graph of contents and groups: a row with a group ties its two together
    size = int(content.max(initial=-1)) + 1
    edges = (np.ones(int(grouped.sum())), (content[grouped], size + group[grouped]))
    _, chain = connected_components(sparse.csr_array(edges, (size + len(names),) * 2), directed=False)
    hashed = np.frombuffer(b"".join(hashlib.blake2b(n.encode(), digest_size=8).digest() for n in names), "<u8")
    found = fingerprints.copy()
    least = np.full(int(chain.max(initial=-1)) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, chain[content[grouped]], hashed[group[grouped]].astype(np.uint64))
    tied = np.isin(chain[content], chain[content[grouped]])
    found[tied] = least[chain[content[tied]]]
    return found


def _cut_base(fingerprints: Hashes, labels: Strings, parts: Strings, config: Preprocess) -> Strings:
    splits = np.full(len(parts), DROPPED, dtype="<U10")
    official = parts == "test"
    splits[official] = "test"
    free = ~official & ~np.isin(fingerprints, fingerprints[official])
    shares = {"validation": config.validation_share, "production": config.production_share}
    if not official.any():
        shares = {"test": config.test_share, **shares}

    content, content_label = _distinct(fingerprints[free], labels[free])
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


def _cut_feedback(fingerprints: Hashes, config: Preprocess) -> Strings:
    """About its share to each split, by the content alone: a partition that is built anew from some of the same labels
    tests no model on what it has learnt."""
    if not len(fingerprints):
        return np.empty(0, dtype="<U10")
    place = _seeded_hash(fingerprints, config.seed) / 2.0**64  # even from 0 to 1
    tested, validated = config.feedback_test_share, config.feedback_test_share + config.validation_share
    return np.select([place < tested, place < validated], ["test", "validation"], "train").astype("<U10")


def _further_copies(fingerprints: Hashes) -> NDArray[np.bool_]:
    """Which examples repeat the content of one before them."""
    further = np.ones(len(fingerprints), dtype=bool)
    further[np.unique(fingerprints, return_index=True)[1]] = False
    return further


def _distinct(fingerprints: Hashes, labels: Strings) -> tuple[Hashes, Strings]:
    """The distinct contents in ascending order, and the least label of each: conflicting copies have an order, too."""
    order = np.lexsort((labels, fingerprints))
    content, first = np.unique(fingerprints[order], return_index=True)
    return content, labels[order][first]


def _seeded_hash(content: Hashes, seed: int) -> Hashes:
    key = seed.to_bytes(8, "little")
    digests = (hashlib.blake2b(value.tobytes(), digest_size=8, key=key).digest() for value in content.astype("<u8"))
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
