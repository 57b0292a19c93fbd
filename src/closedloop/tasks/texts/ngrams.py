"""Character n-grams with their TF-IDF weights: what no tokenizer tears apart, and spelling changes only in part."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

PADDING = 0  # id


def _shape(text: str) -> str:
    """How a text is written, whatever it says: letters of both cases, digits, and everything else as it is."""
    return "".join(
        "0" if letter.isdecimal() else "X" if letter.isupper() else "x" if letter.isalpha() else letter
        for letter in text
    )


VIEWS: dict[str, Callable[[str], str]] = {"letters": str.lower, "shapes": _shape}


@dataclass(frozen=True)
class NGrams:
    """The n-grams of one view of texts that the training split has often enough; ids count from 1."""

    view: str  # of VIEWS
    shortest: int  # characters
    longest: int
    most: int  # distinct n-grams of one text that are kept: those that come first
    known: Sequence[str]
    rarity: Sequence[float]  # of each known one: the smoothed inverse document frequency (Spärck Jones, 1972)

    @property
    def size(self) -> int:
        """How many ids there are, padding among them."""
        return 1 + len(self.known)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {gram: code for code, gram in enumerate(self.known, 1)}

    def weigh(self, text: str) -> dict[int, float]:
        """The weight of each known n-gram of a text by its id: (1 + log count) x rarity, of length 1 in all."""
        counts: dict[int, int] = {}
        for gram in _grams(VIEWS[self.view](text), self.shortest, self.longest):
            code = self._ids.get(gram)
            if code is not None:
                counts[code] = counts.get(code, 0) + 1
                if len(counts) == self.most:
                    break
        weights = {code: (1 + math.log(count)) * self.rarity[code - 1] for code, count in counts.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {code: weight / length for code, weight in weights.items()}


def collect(texts: Sequence[str], view: str, *, shortest: int, longest: int, least: int, most: int) -> NGrams:
    """The n-grams that stand in at least `least` of the texts, in their order as strings."""
    holders: Counter[str] = Counter()
    for text in texts:
        holders.update(set(_grams(VIEWS[view](text), shortest, longest)))
    known = sorted(gram for gram, count in holders.items() if count >= least)
    rarity = [round(1 + math.log((1 + len(texts)) / (1 + holders[gram])), 4) for gram in known]
    return NGrams(view, shortest, longest, most, known, rarity)


def _grams(text: str, shortest: int, longest: int) -> Iterable[str]:
    """All n-grams, in the order in which they end."""
    for end in range(shortest, len(text) + 1):
        for length in range(shortest, min(longest, end) + 1):
            yield text[end - length : end]
