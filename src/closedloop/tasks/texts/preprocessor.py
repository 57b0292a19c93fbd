"""The fitted transform of texts: token ids in their order, and weighted character n-grams without one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from closedloop.files import write_json
from closedloop.tasks.base import Arrays, read_fitted
from closedloop.tasks.texts.bpe import PADDING, BytePairs, learn
from closedloop.tasks.texts.ngrams import VIEWS, NGrams, collect
from closedloop.tasks.texts.request import TEXT, read_records, text_schema, texts

if TYPE_CHECKING:
    import pyarrow as pa

    from closedloop.tasks.schema import Tokens

EXAMPLE = "Congratulations! You have won a prize. Call 09061234567 to claim it."


@dataclass(frozen=True)
class TextPreprocessor:
    """Cuts a text into tokens and n-grams; whatever lies beyond the configured numbers of them is not seen."""

    pairs: BytePairs
    views: list[NGrams]
    max_tokens: int
    max_characters: int  # of a request

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        return {"tokens": [self.pairs.size], "ngrams": [1 + sum(len(view.known) for view in self.views)]}

    def transform(self, examples: "pa.Table") -> Arrays:
        return self._arrays(texts(examples))

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        return self._arrays(read_records(records, self.max_characters))

    def _arrays(self, rows: Sequence[str]) -> Arrays:
        """tokens (N, max_tokens), ngrams and weights (N, M); unused places are 0."""
        tokens = np.full((len(rows), self.max_tokens), PADDING, np.int32)
        width = sum(view.most for view in self.views)
        ngrams, weights = np.zeros((len(rows), width), np.int32), np.zeros((len(rows), width), np.float32)
        for row, text in enumerate(rows):
            found = self.pairs.encode(text, self.max_tokens)
            tokens[row, : len(found)] = found
            place = offset = 0
            for view in self.views:
                weighed = view.weigh(text)
                stop = place + len(weighed)
                ngrams[row, place:stop] = [code + offset for code in weighed]
                weights[row, place:stop] = list(weighed.values())
                place, offset = stop, offset + len(view.known)
        return {"tokens": tokens, "ngrams": ngrams, "weights": weights}

    def request_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {TEXT: text_schema(self.max_characters)},
            "required": [TEXT],
            "additionalProperties": False,
        }

    def request_example(self) -> dict[str, Any]:
        return {TEXT: EXAMPLE[: self.max_characters]}

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """[{"text": …}, …] -> examples."""
        import pyarrow as pa

        return pa.table({TEXT: pa.array(read_records(records, self.max_characters), pa.string())})

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        return [{TEXT: text} for text in texts(examples)]

    def save(self, folder: Path) -> None:
        content = {
            "kind": "texts",
            "max_tokens": self.max_tokens,
            "max_characters": self.max_characters,
            "alphabet": self.pairs.alphabet,
            "merges": self.pairs.merges,
            "views": [asdict(view) for view in self.views],
        }
        write_json(folder / "preprocessor.json", content)


def load(folder: Path) -> TextPreprocessor:
    content = read_fitted(folder)
    return TextPreprocessor(
        pairs=BytePairs(content["alphabet"], content["merges"]),
        views=[NGrams(**view) for view in content["views"]],
        max_tokens=content["max_tokens"],
        max_characters=content["max_characters"],
    )


def fit(train: Sequence[str], config: "Tokens") -> TextPreprocessor:
    """Both vocabularies from the texts of the training split."""
    views = [
        collect(
            train,
            view,
            shortest=config.shortest,
            longest=config.longest,
            least=config.min_texts,
            most=config.max_ngrams,
        )
        for view in VIEWS
    ]
    return TextPreprocessor(learn(train, config.vocabulary), views, config.max_tokens, config.max_characters)
