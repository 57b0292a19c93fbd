"""Texts, to which a class belongs or which are gone on with."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.tasks.base import Baseline, Finding, Preprocessor, read_fitted
from closedloop.tasks.texts import characters, preprocessor
from closedloop.tasks.texts.characters import CharacterPreprocessor
from closedloop.tasks.texts.request import TEXT, texts

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from closedloop.config import Params
    from closedloop.tasks.schema import Characters, Tokens


class Texts:
    """Texts in tables or in files of their own, one label each; or one running text."""

    takes_missing = False

    def read(self, raw: Path, params: "Params") -> "pa.Table":
        """Read the source's parts; a text stays as it is, down to its white space.

        Raises DataError when a file is missing, is not in the encoding or cannot be read as its format says.
        """
        from closedloop.tasks.texts import reading

        return reading.read(raw, params.source.format)

    def fingerprints(self, examples: "pa.Table") -> NDArray[np.uint64]:
        digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts(examples)]
        return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)

    def examine(self, examples: "pa.Table", params: "Params") -> list[Finding]:
        """Texts that say nothing, and characters that a wrong encoding leaves behind."""
        from closedloop.data.examples import ID

        found, limits = texts(examples), params.validation
        names: list[str] = examples.column(ID).to_pylist()
        blank = [name for name, text in zip(names, found, strict=True) if not text.strip()]
        broken = [name for name, text in zip(names, found, strict=True) if "\ufffd" in text]
        return [
            Finding(
                check="blank texts",
                passed=len(blank) <= limits.max_blank_share * len(found),
                found=f"{len(blank)} of {len(found)} have nothing but white space",
                allowed=f"a share of at most {limits.max_blank_share} (validation.max_blank_share)",
                examples=tuple(blank[:10]),
            ),
            Finding(
                check="encoding",
                passed=len(broken) <= limits.max_blank_share * len(found),
                found=f"{len(broken)} of {len(found)} hold U+FFFD, which stands for bytes that could not be read",
                allowed=f"a share of at most {limits.max_blank_share} (validation.max_blank_share); see "
                "source.format.encoding",
                examples=tuple(broken[:10]),
            ),
        ]

    def fit(self, train: "pa.Table", params: "Params") -> Preprocessor:
        """Learn the vocabularies of tokens and of character n-grams.

        Raises DataError when a training text is longer than a request may be, or there is nothing but white space.
        """
        found = texts(train)
        if params.task.target == "text":
            wanted = cast("Characters", params.preprocess.features)
            alphabet = "".join(sorted({character for text in found for character in text}))
            return CharacterPreprocessor(alphabet, len(found[0]), wanted.max_prompt, wanted.max_length)
        config = cast("Tokens", params.preprocess.features)
        longest = max(map(len, found))
        if longest > config.max_characters:
            raise DataError(
                f"the longest training text has {longest} characters, requests may have {config.max_characters}: raise "
                "preprocess.features.max_characters"
            )
        if not any(map(str.strip, found)):
            raise DataError("all texts of the training split are blank: there is nothing to learn from")
        return preprocessor.fit(found, config)

    def load_preprocessor(self, folder: Path) -> Preprocessor:
        return preprocessor.load(folder) if "merges" in read_fitted(folder) else characters.load(folder)

    def baseline(self, train: "pa.Table", examples: "pa.Table", params: "Params") -> Baseline:
        """A linear support vector machine on the TF-IDF weights of character 2- to 5-grams (Joachims, 1998).

        Its margins become probabilities as Platt (1999) does it, by cross-validation; a class with fewer training texts
        than two is unlikely, and not impossible.
        """
        from closedloop.data.examples import labels
        from closedloop.tasks.texts.baseline import probabilities
        from closedloop.tasks.texts.ngram_model import ORDER, NGramModel

        if params.task.target == "text":
            nats = NGramModel(texts(train)).nats(texts(examples))
            return Baseline(f"{ORDER}-grams of characters", nats[:, None])
        found = probabilities(texts(train), labels(train), texts(examples), params.task.classes)
        return Baseline("linear SVM on character n-grams", found)

    def describe(self, examples: "pa.Table") -> "pd.DataFrame":
        from closedloop.tasks.texts.descriptors import describe

        return describe(texts(examples))

    def shift(self, examples: "pa.Table", scenario: str, severity: int, rng: np.random.Generator) -> "pa.Table":
        from closedloop.tasks.texts.shifts import shift

        return shift(examples, scenario, severity, rng)

    def look(self, examples: "pa.Table", row: int) -> str:
        text: Any = examples.column(TEXT)[row].as_py()
        return str(text)


TASK = Texts()
