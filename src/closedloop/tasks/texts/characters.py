"""The transform of running text: characters as codes, each input the character before the one that it is to tell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import write_json
from closedloop.tasks.base import Arrays, BadRecord, Step, read_fitted, read_number, refuse_excess
from closedloop.tasks.texts.request import TEXT, read_text, texts

if TYPE_CHECKING:
    import pyarrow as pa

BEGIN, UNKNOWN = 0, 1  # codes; the characters of the training split follow
PROMPT, LENGTH, TEMPERATURE, SEED = "prompt", "length", "temperature", "seed"
USUAL_LENGTH, USUAL_TEMPERATURE = 200, 0.8
HOTTEST, LARGEST_SEED = 5.0, 2**32 - 1
TOKENS, NEXT = "tokens", "next"


@dataclass(frozen=True)
class Prompt:
    """What a request asks for."""

    text: str
    length: int  # characters that are to be written
    temperature: float  # 0: always the most probable one
    seed: int


@dataclass(frozen=True)
class CharacterPreprocessor:
    """Codes of characters in the order of their code points."""

    alphabet: str
    passage: int  # characters of a training example
    max_prompt: int
    max_length: int

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {character: code for code, character in enumerate(self.alphabet, UNKNOWN + 1)}

    @property
    def cardinalities(self) -> dict[str, list[int]]:
        size = len(self.alphabet) + UNKNOWN + 1
        return {TOKENS: [size], NEXT: [size]}

    def transform(self, examples: "pa.Table") -> Arrays:
        """Passages of one length -> codes (N, passage): the characters shifted by one, and the characters."""
        found = texts(examples)
        lengths = {len(text) for text in found}
        if len(lengths) > 1:
            raise DataError(
                f"the passages have {len(lengths)} different lengths, such as {min(lengths)}; they need one"
            )
        return self._arrays(found)

    def inputs(self, records: list[dict[str, Any]]) -> Arrays:
        return self._arrays([prompt.text for prompt in self.prompts(records)])

    def _arrays(self, found: Sequence[str]) -> Arrays:
        unknown = UNKNOWN
        rows = np.array([[self._codes.get(character, unknown) for character in text] for text in found], np.int64)
        rows = rows.reshape(len(found), -1)
        before = np.concatenate([np.full((len(rows), 1), BEGIN), rows[:, :-1]], axis=1)
        return {TOKENS: before, NEXT: rows}

    def prompts(self, records: list[dict[str, Any]]) -> list[Prompt]:
        """Requests, checked; raises BadRecord."""
        return [self._prompt(row, record) for row, record in enumerate(records)]

    def _prompt(self, row: int, record: Any) -> Prompt:
        if not isinstance(record, dict):
            raise BadRecord(row, "", "expected an object")
        strange = [name for name in record if name not in (PROMPT, LENGTH, TEMPERATURE, SEED)]
        if strange or PROMPT not in record:
            raise BadRecord(row, "", f"expected the field {PROMPT}, and perhaps {LENGTH}, {TEMPERATURE} and {SEED}")
        return Prompt(
            read_text(row, record[PROMPT], self.max_prompt, PROMPT),
            int(read_number(row, record, LENGTH, USUAL_LENGTH, high=self.max_length, whole=True)),
            read_number(row, record, TEMPERATURE, USUAL_TEMPERATURE, high=HOTTEST),
            int(read_number(row, record, SEED, 0, high=LARGEST_SEED, whole=True)),
        )

    @property
    def pieces(self) -> int:
        return 8  # characters: a model writes them in a few milliseconds

    def told(self, pieces: Sequence[str]) -> dict[str, Any]:
        return {TEXT: "".join(pieces)}

    def refuse_excess(self, records: list[dict[str, Any]]) -> None:
        refuse_excess([prompt.length for prompt in self.prompts(records)], self.max_length, LENGTH, "characters")

    def write(self, record: dict[str, Any], step: Step) -> Iterator[str]:
        """The characters with which the text goes on, one by one; the same ones for the same seed."""
        return self._written(self._prompt(0, record), step)

    def _written(self, prompt: Prompt, step: Step) -> Iterator[str]:
        rng = np.random.default_rng(prompt.seed)
        codes = self._arrays([prompt.text])[NEXT][0]
        tokens = np.concatenate([[BEGIN], codes])[None]
        for _ in range(prompt.length):
            logits = step({TOKENS: tokens, NEXT: tokens})["logits"][:, -1].astype(np.float64)
            logits[:, : UNKNOWN + 1] = -np.inf  # neither of them can be written
            code = _drawn(logits[0], prompt.temperature, rng)
            yield self.alphabet[code - UNKNOWN - 1]
            tokens = np.array([[code]])

    def request_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                PROMPT: {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": self.max_prompt,
                    "description": "How it begins.",
                },
                LENGTH: {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": self.max_length,
                    "default": USUAL_LENGTH,
                    "description": "Characters to write; with 0 the text is only judged.",
                },
                TEMPERATURE: {
                    "type": "number",
                    "minimum": 0,
                    "maximum": HOTTEST,
                    "default": USUAL_TEMPERATURE,
                    "description": "0 writes the most probable character each time, 1 draws as the model believes.",
                },
                SEED: {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED, "default": 0},
            },
            "required": [PROMPT],
            "additionalProperties": False,
        }

    def request_example(self) -> dict[str, Any]:
        start = "".join(character for character in "To be, or not " if character in self._codes)
        return {PROMPT: start or self.alphabet[0], LENGTH: min(100, self.max_length), TEMPERATURE: 0.8, SEED: 1}

    def decode(self, records: list[dict[str, Any]]) -> "pa.Table":
        """[{"prompt": …}, …] -> examples; how they are to be gone on with is not kept."""
        import pyarrow as pa

        return pa.table({TEXT: pa.array([prompt.text for prompt in self.prompts(records)], pa.string())})

    def encode(self, examples: "pa.Table") -> list[dict[str, Any]]:
        return [{PROMPT: text, LENGTH: 0} for text in texts(examples)]

    def save(self, folder: Path) -> None:
        write_json(
            folder / "preprocessor.json",
            {
                "kind": "texts",
                "alphabet": self.alphabet,
                "passage": self.passage,
                "max_prompt": self.max_prompt,
                "max_length": self.max_length,
            },
        )


def load(folder: Path) -> CharacterPreprocessor:
    return CharacterPreprocessor(**read_fitted(folder))


def _drawn(logits: NDArray[np.float64], temperature: float, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    odds = np.exp((logits - logits.max()) / temperature)
    return int(rng.choice(len(odds), p=odds / odds.sum()))
