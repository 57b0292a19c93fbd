"""The networks for texts: padding is never seen, and the exported ones answer alike."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from closedloop.learning.export import SupervisedServed, answers, export_onnx
from closedloop.learning.objectives import ClassObjective
from closedloop.networks.augmentation import augment
from closedloop.networks.build import Input, build_network
from closedloop.networks.schema import Model, TextTransformer, TokenDropout
from closedloop.targets import Classes

OBJECTIVE = ClassObjective(Classes(("a", "b")), 0.0)  # the export asks it for no more than a softmax

LENGTH, GRAMS = 12, 20
CONFIGS = [
    {"name": "text_transformer", "width": 8, "heads": 2, "layers": 2, "dropout": 0},
    {"name": "text_lstm", "width": 6, "hidden": 5, "layers": 1, "dropout": 0},
    {"name": "text_lstm", "width": 6, "hidden": 5, "layers": 2, "dropout": 0},
]


def build(config: dict[str, object], outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    inputs = {"tokens": Input((LENGTH,), (30,)), "ngrams": Input((GRAMS,), (40,)), "weights": Input((GRAMS,))}
    network = build_network(TypeAdapter(Model).validate_python(config), inputs, outputs).eval()
    nn.init.normal_(network.ngrams.each.weight, std=0.1)  # type: ignore[union-attr, arg-type]
    return network


def texts(lengths: list[int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(1, 30, (len(lengths), LENGTH), generator=generator, dtype=torch.int32)
    tokens[torch.arange(LENGTH)[None] >= torch.tensor(lengths)[:, None]] = 0
    ngrams = torch.randint(1, 40, (len(lengths), GRAMS), generator=generator, dtype=torch.int32)
    return {"tokens": tokens, "ngrams": ngrams, "weights": torch.rand(len(lengths), GRAMS, generator=generator)}


@pytest.mark.parametrize("config", CONFIGS)
def test_the_exported_network_answers_as_torch_does_for_any_number_of_texts(
    config: dict[str, object], tmp_path: Path
) -> None:
    network, inputs = build(config), texts([LENGTH, 1, 5, 0, 3])
    export_onnx(SupervisedServed(network, OBJECTIVE, inputs), inputs, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for count in (1, 2, 5):
        some = {name: tensor[:count] for name, tensor in inputs.items()}
        answer = session.run(None, {name: tensor.numpy() for name, tensor in some.items()})[0]
        np.testing.assert_allclose(answer, answers(SupervisedServed(network, OBJECTIVE, some), some).numpy(), atol=1e-5)
        assert np.isfinite(answer).all()


@pytest.mark.parametrize("config", CONFIGS)
def test_padding_is_never_seen(config: dict[str, object]) -> None:
    network, inputs = build(config), texts([4, 2, 3])
    with torch.no_grad():
        whole = network(**inputs)
        shorter = network(**{**inputs, "tokens": inputs["tokens"][:, :4]})
        alone = network(**{name: tensor[1:2] for name, tensor in inputs.items()})
        trained = network.train()(**inputs)  # trims what is padding in the whole batch
    torch.testing.assert_close(shorter, whole)
    torch.testing.assert_close(alone[0], whole[1])
    torch.testing.assert_close(trained, whole)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_order_of_tokens_matters_and_scale_0_leaves_the_n_grams_out(config: dict[str, object]) -> None:
    inputs = texts([6])
    mirrored = {**inputs, "tokens": torch.cat([inputs["tokens"][:, :6].flip(1), inputs["tokens"][:, 6:]], dim=1)}
    others = {**inputs, "ngrams": inputs["ngrams"] % 7 + 1}
    network, without = build(config), build({**config, "ngram_scale": 0})
    with torch.no_grad():
        assert not torch.allclose(network(**inputs), network(**mirrored))
        assert not torch.allclose(network(**inputs), network(**others))
        torch.testing.assert_close(without(**inputs), without(**others))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"width \(10\) must be a multiple of heads \(4\)"):
        TextTransformer(name="text_transformer", width=10, heads=4)


def test_token_dropout_makes_its_share_of_the_tokens_unknown_and_leaves_padding_alone() -> None:
    torch.manual_seed(0)
    inputs = texts([10] * 400)
    inputs["tokens"] = torch.where(inputs["tokens"] == 1, 2, inputs["tokens"])
    changed = augment(inputs, TokenDropout(name="token_dropout", share=0.2))
    assert 0.17 < (changed["tokens"][:, :10] == 1).float().mean() < 0.23
    assert torch.equal(changed["tokens"] == 0, inputs["tokens"] == 0)
    assert torch.equal(changed["ngrams"], inputs["ngrams"])
    assert inputs["tokens"].dtype == changed["tokens"].dtype
