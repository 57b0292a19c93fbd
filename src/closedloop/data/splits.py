"""Which example goes where: stratified, seeded, and never the same content in two splits."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from closedloop.config import Preprocess
from closedloop.errors import DataError
from closedloop.paths import SPLITS

# a copy of an official test example elsewhere, or of an earlier example in a feedback part; or any, where so configured
DROPPED = "dropped"
CODES = {name: code for code, name in enumerate((*SPLITS, DROPPED))}

BLOCK = 100_000  # digests that are held at once as objects of their own

Hashes = NDArray[np.uint64]
Strings = NDArray[np.str_]
Codes = NDArray[np.int8]  # of splits: a fortieth of the room that their names take


def assign_splits(
    fingerprints: Hashes,
    labels: Strings,
    parts: Strings,
    config: Preprocess,
    feedback: Sequence[str] = (),
    *,
    together: Hashes | None = None,
    times: NDArray[np.float64] | None = None,
) -> Strings:
    """Name the split of each example: train, validation, test, production or dropped.

    An official test part is kept whole; its copies elsewhere are dropped. Everything else is cut within each class in
    the order of a seeded hash of the content, so that neither the order of the rows nor the platform matters, copies
    stay together, and most assignments survive when rows are added.

    `feedback` names the parts that came later, the earliest first. Each example of them goes to test, validation or
    train by its content alone, but for what stands in an earlier part; the splits of all earlier parts are as they were
    without it.

    `together` says in place of the contents what must not stand in two splits, as `joined` does for groups.

    With `times` nothing is drawn: training comes first, then validation, then test, and production is the latest; see
    `_cut_by_time`. Feedback needs none: it is later than all of them.

    With `config.copies` "drop" only the first example of each content has a split, but in an official test part.

    Raises DataError when a split of the official parts comes out empty.
    """
    splits = np.full(len(parts), CODES[DROPPED], np.int8)
    base, contents = ~np.isin(parts, feedback), fingerprints
    fingerprints = contents if together is None else together
    if times is None:
        splits[base] = _cut_base(fingerprints[base], labels[base], parts[base], config)
    else:
        splits[base] = _cut_by_time(fingerprints[base], times[base], parts[base], config)
    known = base
    for name in feedback:
        part = parts == name
        fresh = part & ~np.isin(fingerprints, fingerprints[known])
        splits[fresh] = _cut_feedback(fingerprints[fresh], config)
        known = known | part
    if config.copies == "drop":
        kept = np.flatnonzero(splits != CODES[DROPPED])
        further = kept[_further_copies(contents[kept])]
        splits[further[parts[further] != "test"]] = CODES[DROPPED]
    return np.array(list(CODES))[splits]


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


def _cut_base(fingerprints: Hashes, labels: Strings, parts: Strings, config: Preprocess) -> Codes:
    splits = np.full(len(parts), CODES[DROPPED], np.int8)
    official = parts == "test"
    splits[official] = CODES["test"]
    free = ~official & ~np.isin(fingerprints, fingerprints[official])
    shares = {"validation": config.validation_share, "production": config.production_share}
    if not official.any():
        shares = {"test": config.test_share, **shares}

    content, content_label = _distinct(fingerprints[free], labels[free])
    content_split = np.full(len(content), CODES["train"], np.int8)
    ranks = _seeded_hash(content, config.seed)
    for label in np.unique(content_label):
        members = np.flatnonzero(content_label == label)
        members = members[np.argsort(ranks[members], kind="stable")]
        bounds = np.round(np.cumsum(list(shares.values())) * len(members)).astype(int)
        for split, start, stop in zip(shares, [0, *bounds], bounds, strict=False):
            content_split[members[start:stop]] = CODES[split]
    splits[free] = content_split[np.searchsorted(content, fingerprints[free])]

    _require_all(splits, f"{len(content)} distinct examples are too few", shares)
    return splits


def _cut_by_time(fingerprints: Hashes, times: NDArray[np.float64], parts: Strings, config: Preprocess) -> Codes:
    """The rows in the order of their times: the shares decide where they are cut, and examples of one time are not.

    What must stay together and goes on after a cut (`fingerprints`) stays where it begins; its later rows are dropped:
    what has been learnt proves nothing when it comes again. An official test part is kept whole.
    """
    splits = np.full(len(parts), CODES[DROPPED], np.int8)
    official = parts == "test"
    splits[official] = CODES["test"]
    free = ~official & ~np.isin(fingerprints, fingerprints[official])
    tested = {} if official.any() else {"test": config.test_share}
    shares = {"validation": config.validation_share, **tested, "production": config.production_share}
    moments, counts = np.unique(times[free], return_counts=True)
    if len(moments) <= len(shares):
        raise DataError(
            f"the examples have {len(moments)} distinct times, too few to cut them into train, {', '.join(shares)}; "
            "take the column out of source.format.time"
        )
    places = np.searchsorted(_cuts(moments, counts, list(shares.values())), times[free], side="right")
    chains, chain = np.unique(fingerprints[free], return_inverse=True)
    begins = np.full(len(chains), len(shares))
    np.minimum.at(begins, chain, places)
    splits[free] = np.where(
        places == begins[chain], np.array([CODES[name] for name in ("train", *shares)], np.int8)[places], CODES[DROPPED]
    )
    _require_all(
        splits, f"{len(moments)} distinct times and {len(chains)} distinct examples or groups are too few", shares
    )
    return splits


def _cuts(moments: NDArray[np.float64], counts: NDArray[np.int64], shares: Sequence[float]) -> NDArray[np.float64]:
    """The moments at which each split after the first begins: as near to the shares as the moments allow, all apart."""
    before = np.cumsum(counts)[:-1]  # examples before each moment but the first
    wanted = (1 - np.cumsum(shares[::-1])[::-1]) * counts.sum()
    found: list[int] = []
    for number, goal in enumerate(wanted):
        low = found[-1] + 1 if found else 0
        high = len(before) - (len(wanted) - 1 - number)  # the rest need a moment each
        found.append(low + int(np.abs(before[low:high] - goal).argmin()))
    return moments[1:][found]


def _require_all(splits: Codes, why: str, shares: Mapping[str, float]) -> None:
    for split in SPLITS:
        if not (splits == CODES[split]).any():
            raise DataError(
                f"the {split} split is empty: {why} for the shares in preprocess "
                f"({', '.join(f'{name} {share}' for name, share in shares.items())}); add data or change them"
            )


def _cut_feedback(fingerprints: Hashes, config: Preprocess) -> Codes:
    """About its share to each split, by the content alone: a partition that is built anew from some of the same labels
    tests no model on what it has learnt."""
    if not len(fingerprints):
        return np.empty(0, np.int8)
    place = _seeded_hash(fingerprints, config.seed) / 2.0**64  # even from 0 to 1
    tested, validated = config.feedback_test_share, config.feedback_test_share + config.validation_share
    chosen = [np.int8(CODES[name]) for name in ("test", "validation")]
    return np.select([place < tested, place < validated], chosen, np.int8(CODES["train"]))


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
    key, values = seed.to_bytes(8, "little"), content.astype("<u8")
    found = np.empty(len(values), "<u8")
    for start in range(0, len(values), BLOCK):
        some = values[start : start + BLOCK]
        digests = [hashlib.blake2b(value.tobytes(), digest_size=8, key=key).digest() for value in some]
        found[start : start + BLOCK] = np.frombuffer(b"".join(digests), "<u8")
    return found.astype(np.uint64)
