"""The classes that labels make: which there are, in which order, and which labels are too rare to be one."""

from collections import Counter
from collections.abc import Iterable

from closedloop.errors import DataError

FEWEST = 10  # examples of a class: validation.min_examples_per_class
MOST = 200  # classes
SHOWN = 10
USUAL_ORDERS = (
    ("0", "1"),
    ("no", "yes"),
    ("n", "y"),
    ("false", "true"),
    ("f", "t"),
    ("negative", "positive"),
    ("-", "+"),
)


def find_classes(labels: Iterable[str | None], where: str) -> tuple[dict[str, int], dict[str, int]]:
    """The classes with their counts, and the labels with too few examples to learn or to prove anything.

    Of two classes the second is the one that curves are about: `yes` of no and yes, otherwise the rarer one. Raises
    DataError when fewer than two classes are left, or so many that they are no classes.
    """
    counts = Counter(label for label in labels if label is not None)
    if not counts:
        raise DataError(f"{where} holds no label at all")
    if len(counts) == 1:
        (name,) = counts
        raise DataError(
            f"{where} holds one class only, {name!r} ({counts[name]:,} times): there is nothing to tell apart"
        )
    common = {name: count for name, count in counts.items() if count >= FEWEST}
    rare = {name: count for name, count in counts.items() if count < FEWEST}
    if len(common) > MOST or len(rare) > max(MOST, len(common)) or sum(rare.values()) > sum(common.values()):
        raise DataError(
            f"{where} holds {len(counts):,} different values, such as {', '.join(map(repr, list(counts)[:3]))}: these "
            "are names or texts, and no classes; name another column as TARGET"
        )
    if len(common) < 2:
        raise DataError(
            f"{where} leaves fewer than two classes: a class needs {FEWEST} examples, and there are "
            f"{', '.join(f'{name!r} {count}' for name, count in counts.most_common(SHOWN))}"
        )
    return {name: common[name] for name in _ordered(common)}, rare


def look_alikes(names: Iterable[str]) -> list[str]:
    """What to tell about classes that differ in capitals alone."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.casefold(), []).append(name)
    return [
        f"classes: {' and '.join(map(repr, alike))} are told apart; if they mean the same, mend the data"
        for alike in found.values()
        if len(alike) > 1
    ]


def _ordered(counts: dict[str, int]) -> list[str]:
    if len(counts) == 2:
        lower = {name.lower(): name for name in counts}
        usual = next((pair for pair in USUAL_ORDERS if set(pair) == set(lower)), None)
        return [lower[name] for name in usual] if usual else sorted(counts, key=lambda name: (-counts[name], name))
    return sorted(counts, key=lambda name: (0, float(name), name) if name.isdigit() else (1, 0.0, name))
