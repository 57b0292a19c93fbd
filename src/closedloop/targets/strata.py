"""Labels in a few groups: classes as they are, numbers by ranges."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from closedloop.targets.number import as_numbers, is_number

if TYPE_CHECKING:
    from closedloop.config.data import Task

Base = Sequence[bool] | NDArray[np.bool_]  # which examples ranges follow from
RANGES = 5  # of equally many labels, by which numbers are split alike
BARS = 10  # of equal width, by which a person sees how numbers are distributed


@dataclass(frozen=True)
class Strata:
    """The groups in their order, and the group of each label; a label that is none has a group of its own name."""

    names: list[str]
    of: list[str]

    def counts(self, chosen: NDArray[np.bool_] | None = None) -> dict[str, int]:
        """How many of the chosen labels each group has, those without any included."""
        found = Counter(self.of if chosen is None else np.array(self.of, object)[chosen].tolist())
        names = [*self.names, *sorted(found.keys() - set(self.names))]
        return {name: found[name] for name in names}


def strata(task: "Task", labels: Sequence[str], base: Base) -> Strata:
    """Groups for splitting. Ranges of numbers follow from the labels in `base` alone: what comes later moves none."""
    return _strata(task, labels, base, lambda values: np.quantile(values, np.linspace(0, 1, RANGES + 1)))


def bars(task: "Task", labels: Sequence[str], base: Base) -> Strata:
    """Groups for looking at; images to imitate are one, whatever their labels say."""
    if task.target == "image":
        return Strata([""], [""] * len(labels))
    return _strata(task, labels, base, lambda values: np.histogram_bin_edges(values, BARS))


def _strata(
    task: "Task", labels: Sequence[str], base: Base, cut: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Strata:
    if task.target != "number":
        return Strata(list(task.classes) if task.target == "classes" else [""], list(labels))
    sound = [is_number(label) for label in labels]
    values = as_numbers([label for label, good, ours in zip(labels, sound, base, strict=True) if good and ours])
    if not len(values):
        return Strata([], list(labels))
    edges = np.unique(cut(values))
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    names = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    every = as_numbers([label if good else "0" for label, good in zip(labels, sound, strict=True)])
    place = np.clip(np.searchsorted(edges, every, side="right") - 1, 0, len(names) - 1)
    of = [names[at] if good else label for label, good, at in zip(labels, sound, place.tolist(), strict=True)]
    return Strata(names, of)
