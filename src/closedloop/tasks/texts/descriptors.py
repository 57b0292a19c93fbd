"""Describes texts by columns of numbers that move when the texts do."""

import re
from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

LINK = re.compile(r"(?:https?:|www\.|[a-z0-9]\.(?:com|net|org|info|biz|co|uk|tv|me)\b)\S*", re.IGNORECASE)
LONG_NUMBER = re.compile(r"\d{5,}")  # of a telephone, a short code, an order
WORD = re.compile(r"[^\W_]+")
VOWELS = frozenset("aeiouyáàâäãåæéèêëíìîïóòôöõøœúùûüýÿаеёиоуыэюяαεηιουω")
# the words that English is held together by: a misspelt text has fewer of them, another language almost none
FREQUENT = frozenset(
    WORD.findall(
        "a about all am an and are as at be but by can come do for from get go good had has have he her him his how i "
        "if in is it just know like me my no not now of on one or our out say see she so some take that the their them "
        "then there they think this time to up us was we well what when which who will with would you your"
    )
)


def describe(texts: Sequence[str]) -> pd.DataFrame:
    """Describe texts by float64 columns; shares are of the characters where nothing else is said.

    characters       number of characters
    words            number of words: runs of letters and digits
    word_length      mean characters of a word; 0 without words
    longest_word     characters of the longest word
    digit_share      decimal digits
    upper_share      of the letters, the upper-case ones
    punctuation_share  neither letters, digits nor white space
    space_share      white space
    non_ascii_share  outside ASCII
    vowel_share      of the letters, the vowels (Latin, Cyrillic, Greek)
    repeated_share   characters that are the same as the one before
    mixed_words      of the words, those with both letters and digits
    frequent_words   of the words, those that are among the most frequent of English
    links            addresses of the web
    long_numbers     runs of five digits or more
    """
    rows = [_describe(text) for text in texts]
    return pd.DataFrame(rows, columns=COLUMNS, dtype="float64")


COLUMNS = [
    "characters", "words", "word_length", "longest_word", "digit_share", "upper_share", "punctuation_share",
    "space_share", "non_ascii_share", "vowel_share", "repeated_share", "mixed_words", "frequent_words", "links",
    "long_numbers",
]  # fmt: skip


def _describe(text: str) -> tuple[float, ...]:
    words, size = WORD.findall(text), max(1, len(text))
    letters = [character for character in text if character.isalpha()]
    digits, spaces = sum(map(str.isdecimal, text)), sum(map(str.isspace, text))
    lengths = [len(word) for word in words]
    return (
        len(text),
        len(words),
        sum(lengths) / max(1, len(words)),
        max(lengths, default=0),
        digits / size,
        sum(map(str.isupper, letters)) / max(1, len(letters)),
        sum(not (character.isalnum() or character.isspace()) for character in text) / size,
        spaces / size,
        sum(not character.isascii() for character in text) / size,
        sum(letter.lower() in VOWELS for letter in letters) / max(1, len(letters)),
        sum(left == right for left, right in pairwise(text)) / size,
        sum(any(map(str.isdecimal, word)) and any(map(str.isalpha, word)) for word in words) / max(1, len(words)),
        sum(word.lower() in FREQUENT for word in words) / max(1, len(words)),
        len(LINK.findall(text)),
        len(LONG_NUMBER.findall(text)),
    )
