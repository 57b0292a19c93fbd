"""Byte-pair encoding: what it learns, and that nothing of a text is lost or made up."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import HAM, SPAM, published

from closedloop.tasks.texts.bpe import PADDING, PIECES, SPECIAL, UNKNOWN, BytePairs, learn

TEXT = st.text(max_size=60)


def spelled(pairs: BytePairs, ids: list[int]) -> str:
    """The text that tokens stand for, unknown characters as \ufffd."""
    return "".join("\ufffd" if code == UNKNOWN else pairs.tokens[code - SPECIAL] for code in ids)


def test_the_most_frequent_pair_is_merged_first_and_ties_go_to_the_first_in_order() -> None:
    pairs = learn(["abab"] * 3 + ["cdcd"] * 2 + ["ab"], 64)
    assert pairs.merges[:3] == [("a", "b"), ("c", "d"), ("ab", "ab")]  # 7, 4 and 3 times
    assert learn(["cd ab", "ab cd"] * 2, 64).merges[0] == ("a", "b")


@settings(deadline=None)
@given(TEXT)
def test_every_character_of_the_alphabet_comes_back_and_every_other_is_unknown(text: str) -> None:
    pairs = learn([*HAM, *SPAM] * 2, 150)
    known = set(pairs.alphabet)
    ids = pairs.encode(text, 1000)
    assert spelled(pairs, ids) == "".join(letter if letter in known else "\ufffd" for letter in text)
    assert PADDING not in ids and all(UNKNOWN <= code < pairs.size for code in ids)


@settings(deadline=None)
@given(TEXT, st.integers(1, 20))
def test_a_limit_cuts_off_the_end_and_changes_nothing_before_it(text: str, longest: int) -> None:
    pairs = learn(HAM, 100)
    whole = pairs.encode(text, 1000)
    assert len(pairs.encode(text, longest)) <= longest
    words = [piece[0] for piece in PIECES.finditer(text)]
    if all(len(word) <= longest for word in words):
        assert pairs.encode(text, longest) == whole[:longest]


@given(TEXT)
def test_the_pieces_of_a_text_are_the_text(text: str) -> None:
    assert "".join(PIECES.findall(text)) == text


@settings(deadline=None, max_examples=20)
@given(st.lists(TEXT, max_size=8), st.integers(64, 200))
def test_a_vocabulary_has_at_most_its_size_and_depends_on_the_texts_alone(texts: list[str], size: int) -> None:
    pairs = learn(texts, size)
    assert pairs.size <= size
    again = learn(texts[::-1], size)
    assert (pairs.alphabet, pairs.merges) == (again.alphabet, again.merges)
    assert all(left + right in "".join(texts) for left, right in pairs.merges)


def test_a_rare_character_is_left_unknown() -> None:
    pairs = learn(["aaa bbb", "aaaz", "ab"], 64)
    assert "z" not in pairs.alphabet
    assert pairs.encode("az", 9)[-1] == UNKNOWN


def test_messages_become_a_third_as_many_tokens_as_characters(mirror: Path) -> None:
    texts = [text for _, text in published(mirror)[:1500]]
    pairs = learn(texts[:1000], 1000)
    assert pairs.size == 1000
    tokens = sum(len(pairs.encode(text, 1000)) for text in texts[1000:])
    assert 0.28 < tokens / sum(map(len, texts[1000:])) < 0.45


@pytest.mark.parametrize("text", ["", " ", "\n", "\x00", "🙂", "é" * 5000])
def test_odd_texts_have_tokens_or_none_and_never_fail(text: str) -> None:
    assert len(learn(HAM, 100).encode(text, 16)) <= 16
