"""Learning how a text goes on: pieces of passages, the state between them, and what is served."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from closedloop.data.datamodule import Batches
from closedloop.data.tensors import TARGETS
from closedloop.learning.export import answers, export_onnx
from closedloop.learning.recurrent import RecurrentServed
from closedloop.networks.char_lstm import CharLSTM
from closedloop.networks.schema import CharLSTM as Config

CHARACTERS = 5


@pytest.fixture
def network() -> CharLSTM:
    torch.manual_seed(0)
    return CharLSTM(Config(name="char_lstm", width=4, hidden=8, layers=2), CHARACTERS).eval()


def passages(rows: int, steps: int) -> dict[str, torch.Tensor]:
    drawn = torch.randint(0, CHARACTERS, (2, rows, steps), generator=torch.Generator().manual_seed(rows))
    return {"tokens": drawn[0], "next": drawn[1]}


@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 4), st.integers(1, 25))
def test_the_pieces_of_a_batch_are_the_batch_in_its_order(rows: int, length: int, size: int, steps: int) -> None:
    tensors = {"tokens": torch.arange(rows * length).view(rows, length)}
    tensors[TARGETS] = tensors["tokens"] + 1
    whole = list(Batches(tensors, size, shuffle_seed=3))
    cut = Batches(tensors, size, shuffle_seed=3, steps=steps)
    pieces, each = list(cut), -(-length // steps)
    assert len(pieces) == len(cut) == len(whole) * each
    for number, batch in enumerate(whole):
        own = pieces[number * each : (number + 1) * each]
        for name, tensor in batch.items():
            assert torch.equal(torch.cat([piece[name] for piece in own], dim=1), tensor)


def test_the_exported_model_answers_as_torch_does_for_texts_of_any_length(network: CharLSTM, tmp_path: Path) -> None:
    served = RecurrentServed(network)
    for _ in range(2):  # the second export of a process took the steps for constant
        export_onnx(served, passages(3, 40), tmp_path / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), options)
    for rows, steps in ((1, 1), (3, 8), (5, 40), (2, 300)):
        inputs = passages(rows, steps)
        start = {name: np.zeros((rows, 2, 8), np.float32) for name in ("hidden", "cell")}
        found = session.run(["answers"], {**{name: one.numpy() for name, one in inputs.items()}, **start})[0]
        np.testing.assert_allclose(found, answers(served, inputs), atol=1e-5)


def test_an_untrained_model_is_as_surprised_as_by_chance(network: CharLSTM) -> None:
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.zero_()
    assert answers(RecurrentServed(network), passages(4, 30)).numpy() == pytest.approx(np.log(CHARACTERS), rel=1e-5)
