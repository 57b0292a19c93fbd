"""The baseline that a language model has to beat: counts of which character followed the last few."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ORDER = 7  # characters, the one that is told among them


class NGramModel:
    """Interpolated n-grams of characters with Witten-Bell smoothing (1991), as Chen and Goodman (1999) write it.

    After a context that was followed by d different characters in c places, the shorter context has the weight
    d / (c + d).
    """

    def __init__(self, training: Sequence[str], order: int = ORDER) -> None:
        self._order, self._alphabet = order, len({character for text in training for character in text}) + 1
        self._counts: list[dict[str, Counter[str]]] = [defaultdict(Counter) for _ in range(order)]
        for text in training:
            for place, character in enumerate(text):
                for length in range(min(order, place + 1)):
                    self._counts[length][text[place - length : place]][character] += 1
        self._sizes = [{context: (c.total(), len(c)) for context, c in level.items()} for level in self._counts]

    def nats(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The mean surprise at a character of each text (N,)."""
        return np.array([np.mean([self._surprise(text, place) for place in range(len(text))]) for text in texts])

    def _surprise(self, text: str, place: int) -> float:
        probability, character = 1 / self._alphabet, text[place]
        for length in range(min(self._order, place + 1)):
            context = text[place - length : place]
            if context not in self._sizes[length]:
                break
            total, different = self._sizes[length][context]
            found = self._counts[length][context].get(character, 0)
            probability = (found + different * probability) / (total + different)
        return -float(np.log(probability))
