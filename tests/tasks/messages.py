"""Text messages for tests: made up, and the published ones where a mirror has them."""

from pathlib import Path

import pyarrow as pa

from closedloop.tasks.schema import Tokens
from closedloop.tasks.texts.preprocessor import TextPreprocessor, fit

HAM = (
    "Are you coming to the pub tonight? I will be there at eight",
    "ok lar, see you then",
    "I can't talk now, call me when you get home :)",
    "Happy birthday! Hope you have a good one, love from all of us",
    "do you know if she has left her keys with him",
    "Sorry, I was in a meeting. What did you want to say?",
)
SPAM = (
    "WINNER!! You have won a £1000 prize. Call 09061234567 now to claim",
    "FREE ringtone! Text TONE to 80082, visit www.tones.co.uk, 150p/msg",
    "URGENT! Your mobile number was drawn for a £2000 bonus, call 0871 4455",
)
CONFIG = Tokens(name="tokens", vocabulary=120, max_tokens=16, max_ngrams=200, min_texts=1, max_characters=200)


def fitted(config: Tokens = CONFIG) -> TextPreprocessor:
    return fit([*HAM, *SPAM], config)


def table(rows: list[str], labels: list[str] | None = None) -> pa.Table:
    columns = {
        "id": [f"all-{row:06d}" for row in range(len(rows))],
        "text": rows,
        "label": labels or ["ham"] * len(rows),
    }
    return pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})


def published(mirror: Path) -> list[tuple[str, str]]:
    """Label and text of every line."""
    lines = (mirror / "SMSSpamCollection").read_text(encoding="utf-8").split("\n")
    return [(label, text) for label, text in (line.split("\t") for line in lines if line)]
