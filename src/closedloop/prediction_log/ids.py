"""Ids of predictions and attempts: short, unique without asking anybody, and in the order of time."""

import os
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
LENGTH = 26
PAIRS = [first + second for first in ALPHABET for second in ALPHABET]  # ten bits at a time
SHIFTS = range(120, -1, -10)


def new_id() -> str:
    """A ULID (github.com/ulid/spec): 48 bits of milliseconds and 80 random ones as 26 characters."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    return "".join([PAIRS[value >> shift & 1023] for shift in SHIFTS])


def is_id(text: str) -> bool:
    """Whether a text can be an id; what is none need not be looked up, and some databases refuse to."""
    return len(text) == LENGTH and text.isascii() and text.isalnum()
