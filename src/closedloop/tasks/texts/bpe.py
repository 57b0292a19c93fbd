"""Byte-pair encoding: frequent pairs of neighbours become tokens of their own (Sennrich, Haddow and Birch, 2016)."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise

PADDING, UNKNOWN = 0, 1  # ids; a character that the training split lacks is unknown
SPECIAL = 2
RARE = 3  # a character seen less often is left to UNKNOWN, so that its embedding is trained
# words with the blank before them, numbers and punctuation apart, so that a token never crosses from one to another
PIECES = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+")
WORDS_KEPT = 50_000  # encodings remembered, of the words seen last

Pair = tuple[str, str]


class BytePairs:
    """Turns a text into token ids; `alphabet` has its characters, `merges` the pairs in the order they were learnt."""

    def __init__(self, alphabet: Sequence[str], merges: Sequence[Pair]) -> None:
        self.alphabet, self.merges = list(alphabet), [(left, right) for left, right in merges]
        # two ways to the same token are one token; its id is its place, behind padding and unknown
        self.tokens = list(dict.fromkeys([*self.alphabet, *(left + right for left, right in self.merges)]))
        self._ids = {token: code for code, token in enumerate(self.tokens, SPECIAL)}
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._word = lru_cache(WORDS_KEPT)(self._encode_word)

    @property
    def size(self) -> int:
        """How many ids there are, padding and unknown among them."""
        return SPECIAL + len(self.tokens)

    def encode(self, text: str, longest: int) -> list[int]:
        """The ids of the first `longest` tokens; of a word of more characters than that, the first ones alone count.

        To merge a word takes time that grows with the square of its length.
        """
        found: list[int] = []
        for piece in PIECES.finditer(text):
            found += self._word(piece[0][:longest])
            if len(found) >= longest:
                break
        return found[:longest]

    def _encode_word(self, word: str) -> tuple[int, ...]:
        parts = list(word)
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            parts = _merge(parts, best)
        return tuple(self._ids.get(part, UNKNOWN) for part in parts)


def learn(texts: Iterable[str], size: int) -> BytePairs:
    """Learn a vocabulary of at most `size` ids; what the texts hold only once is never merged.

    Pairs are counted once and then corrected in the words that a merge has changed; ties go to the pair that sorts
    first, so that the result depends on nothing but the texts.
    """
    counts = Counter(piece for text in texts for piece in PIECES.findall(text))
    letters: Counter[str] = Counter()
    for word, count in counts.items():
        for letter in word:
            letters[letter] += count
    alphabet = sorted(letter for letter, count in letters.items() if count >= RARE)[: max(0, size - SPECIAL)]
    known = set(alphabet)
    words = [(list(word), count) for word, count in sorted(counts.items()) if known.issuperset(word)]
    return BytePairs(alphabet, _merges(words, size - SPECIAL - len(alphabet)))


def _merges(words: list[tuple[list[str], int]], most: int) -> list[Pair]:
    """The most frequent pairs in turn; `words` (parts, count) are changed in place.

    The heap holds an entry for each count that a pair has had: only the one that is still right is taken.
    """
    frequency: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[int]] = defaultdict(set)
    for row, (parts, count) in enumerate(words):
        for pair in pairwise(parts):
            frequency[pair] += count
            holders[pair].add(row)
    heap = [(-count, pair) for pair, count in frequency.items()]
    heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < most:
        count, best = heappop(heap)
        if frequency[best] != -count:
            continue
        if -count < 2:
            break
        merges.append(best)
        changed: set[Pair] = set()
        for row in holders.pop(best):
            before, times = words[row]
            after = _merge(before, best)
            words[row] = after, times
            for pair in pairwise(before):
                frequency[pair] -= times
            for pair in pairwise(after):
                frequency[pair] += times
                holders[pair].add(row)
            changed.update(pairwise(before), pairwise(after))
        for pair in changed:
            heappush(heap, (-frequency[pair], pair))
    return merges


def _merge(parts: list[str], pair: Pair) -> list[str]:
    """Each occurrence of the pair as one, from the left."""
    merged: list[str] = []
    place = 0
    while place < len(parts):
        if place + 1 < len(parts) and (parts[place], parts[place + 1]) == pair:
            merged.append(parts[place] + parts[place + 1])
            place += 2
        else:
            merged.append(parts[place])
            place += 1
    return merged
