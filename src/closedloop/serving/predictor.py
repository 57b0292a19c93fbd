"""Answers requests with an ONNX model and the fitted transform; needs neither torch nor MLflow."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.files import read_json
from closedloop.targets import Target, load_target
from closedloop.tasks import get_task
from closedloop.tasks.base import Arrays, Preprocessor, Step, Writer

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1024  # rows a run of the model: bounds the memory, keeps the cores busy
STEPWISE = 32  # of a model that goes through its rows step by step
Piece = TypeVar("Piece")
GivenUp = Callable[[], bool]  # whether nobody waits for the answer any more


class Abandoned(Exception):
    """Work that was stopped because nobody waits for it."""


@dataclass(frozen=True)
class Predictor:
    """A model as it is deployed."""

    session: Any  # onnxruntime.InferenceSession
    preprocessor: Preprocessor
    target: Target

    @classmethod
    def load(cls, onnx: Path, preprocessor: Path, threads: int = 0) -> "Predictor":
        """Load a model file and its preprocessor's folder; `threads` 0 means all cores.

        Raises DataError when either is missing or unreadable.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        try:
            kind = read_json(preprocessor / "preprocessor.json")["kind"]
            fitted = get_task(kind).load_preprocessor(preprocessor)
            target = load_target(preprocessor)
            session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common base class for what a broken file raises
            raise DataError(f"cannot load the model {onnx} with {preprocessor}: {error}") from error
        return cls(session, fitted, target)

    def answers(self, examples: "pa.Table") -> NDArray[np.float64]:
        """Examples in request form -> answers (N, width), which the target knows to read."""
        return self._run(
            self.preprocessor.transform(examples.slice(start, self._batch))
            for start in range(0, examples.num_rows, self._batch)
        )

    @property
    def _batch(self) -> int:
        return STEPWISE if self._remembered else BATCH

    def predict(self, records: list[dict[str, Any]], given_up: GivenUp = lambda: False) -> NDArray[np.float64]:
        """JSON-like requests -> answers (N, width).

        Raises BadRecord for the first record that cannot be decoded, Abandoned once it is given up.
        """
        if self.writes:  # of any length each, and so each by itself
            if len(records) > 1:
                self.preprocessor.decode(records)  # the first one that cannot be read is told by its place
            asked = [self._ask(self.preprocessor.inputs([record])) for record in _wanted(records, given_up)]
            return np.stack([answers.mean(axis=0) for answers in asked]).astype(np.float64)
        inputs = self.preprocessor.inputs(records)
        return self._run(
            {name: array[start : start + BATCH] for name, array in inputs.items()}
            for start in _wanted(range(0, len(records), BATCH), given_up)
        )

    def _run(self, batches: Iterable[Arrays]) -> NDArray[np.float64]:
        outputs = [self._ask(batch) for batch in batches]
        stacked = np.concatenate(outputs) if outputs else np.zeros((0, self.target.width))
        return stacked.astype(np.float64)

    def _ask(self, batch: Arrays) -> NDArray[Any]:
        start = self._start(len(next(iter(batch.values())))) if self._remembered else {}
        answers: NDArray[Any] = self.session.run(None, {**self._empty, **batch, **start})[0]
        return answers

    @cached_property
    def _empty(self) -> Arrays:
        """No rows of each input that is left out; a model that makes something has two ways in, and takes one."""
        if not self.writes or self._remembered:
            return {}
        return {one.name: np.zeros((0, *one.shape[1:]), np.float32) for one in self.session.get_inputs()}

    @cached_property
    def _remembered(self) -> dict[str, tuple[int, ...]]:
        """What the model carries from step to step, by its shape for one example; nothing for most."""
        outputs = {one.name for one in self.session.get_outputs()}
        return {one.name: tuple(one.shape[1:]) for one in self.session.get_inputs() if f"{one.name}_after" in outputs}

    def _start(self, rows: int) -> Arrays:
        return {name: np.zeros((rows, *shape), np.float32) for name, shape in self._remembered.items()}

    @cached_property
    def writes(self) -> bool:
        """Whether it makes something; asked of the preprocessor once, as each request wants to know."""
        return isinstance(self.preprocessor, Writer)

    def written(self, record: dict[str, Any]) -> Iterator[str]:
        """What a record asks for, piece by piece; the record is known to be sound."""
        return self._writer.write(record, self.stepping())

    def stepping(self) -> Step:
        """The model as a function that remembers what it carries from one call to the next."""
        state, names = self._start(1), [one.name for one in self.session.get_outputs()]

        def step(inputs: Arrays) -> Arrays:
            nonlocal state
            outputs: Arrays = dict(zip(names, self.session.run(None, {**self._empty, **inputs, **state}), strict=True))
            state = {name: outputs[f"{name}_after"] for name in state}
            return outputs

        return step

    def made(self, record: dict[str, Any], given_up: GivenUp = lambda: False) -> dict[str, Any]:
        """All that a record asks for, as the fields of an answer; the record is known to be sound.

        Raises Abandoned once it is given up.
        """
        return self._writer.told(list(_wanted(self.written(record), given_up)))

    def refuse_excess(self, records: list[dict[str, Any]]) -> None:
        """Raise BadRecord where requests ask for more to be made, all together, than one may alone."""
        if self.writes:
            self._writer.refuse_excess(records)

    def streamed(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The same in parts, as they are made."""
        pieces = self.written(record)
        while some := list(islice(pieces, self._writer.pieces)):
            yield self._writer.told(some)

    @property
    def _writer(self) -> Writer:
        assert isinstance(self.preprocessor, Writer)  # noqa: S101  `writes` says so
        return self.preprocessor

    def answer(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """JSON-like requests -> JSON-like answers."""
        shown = [self.target.shown(row) for row in self.predict(records).tolist()]
        if not self.writes:
            return shown
        return [{**one, **self.made(record)} for one, record in zip(shown, records, strict=True)]


def _wanted(pieces: Iterable[Piece], given_up: GivenUp) -> Iterator[Piece]:
    """The pieces, as long as anybody waits for what is made of them."""
    for piece in pieces:
        if given_up():
            raise Abandoned
        yield piece
