"""Training from the weights of another task."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from test_training import digits, same, train, weights

from closedloop.config import Transfer
from closedloop.errors import ConfigError
from closedloop.learning import training
from closedloop.learning.transfer import HEAD, take_over
from closedloop.networks.build import Input, build_network
from closedloop.networks.schema import CNN, MLP, ResNet

NETWORKS = [
    CNN(name="cnn", filters=[4, 6], dense=[], padding="same", normalisation="batch"),
    ResNet(name="resnet", widths=[4, 6], blocks=1),
]


def network(config: CNN | ResNet, side: int = 8, classes: int = 10, channels: int = 1) -> torch.nn.Module:
    return build_network(config, {"inputs": Input((channels, side, side))}, classes)


def parted(state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Trunk and head."""
    head = {name: tensor for name, tensor in state.items() if name.startswith(HEAD)}
    return {name: tensor for name, tensor in state.items() if name not in head}, head


@pytest.mark.parametrize("config", NETWORKS)
def test_the_trunk_is_taken_over_whatever_the_size_of_the_images_and_the_classes(
    tmp_path: Path, config: CNN | ResNet
) -> None:
    file = tmp_path / "weights.safetensors"
    torch.manual_seed(1)
    source, target = network(config), network(config, side=28, classes=3)
    save_file(source.state_dict(), file)
    before = parted({name: tensor.clone() for name, tensor in target.state_dict().items()})
    count = take_over(target, Transfer(weights=str(file)))
    trunk, head = parted(target.state_dict())
    assert count == len(trunk)
    assert same(trunk, parted(source.state_dict())[0]) and not same(trunk, before[0])
    assert same(head, before[1])
    assert all(parameter.requires_grad for parameter in target.parameters())


def test_another_trunk_is_refused_with_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(network(NETWORKS[0]).state_dict(), file)
    with pytest.raises(ConfigError, match=r"features\.0\.weight is \(4, 3, 3, 3\) here and \(4, 1, 3, 3\) there"):
        take_over(network(NETWORKS[0], channels=3), Transfer(weights=str(file)))
    with pytest.raises(ConfigError, match=r"features\.\S+ is \S.* here and absent there.*, and \d+ more"):
        take_over(network(NETWORKS[1]), Transfer(weights=str(file)))
    file.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="no readable safetensors file"):
        take_over(network(NETWORKS[0]), Transfer(weights=str(file)))
    with pytest.raises(ConfigError, match="is not there"):
        take_over(network(NETWORKS[0]), Transfer(weights=str(tmp_path / "other.safetensors")))
    table = build_network(MLP(name="mlp"), {"numbers": Input((3,))}, 2)
    with pytest.raises(ConfigError, match=r"allowed with model\.name cnn, cnn_gru and resnet"):
        take_over(table, Transfer(weights=str(file)))


@pytest.mark.parametrize("killed_in", [0, 2])
def test_a_frozen_trunk_stays_as_it_was_bit_for_bit_also_after_a_kill(tmp_path: Path, killed_in: int) -> None:
    file = tmp_path / "weights.safetensors"
    params, paths = digits(tmp_path / "source", "trainer.max_epochs=1")
    save_file(weights(train(params, paths)), file)
    source = parted(training.load_file(file))
    params, paths = digits(tmp_path / "target", "seed=5", f"transfer.weights={file}", "transfer.frozen=true")
    if killed_in:
        with pytest.raises(RuntimeError, match="killed"):
            train(params, paths, stop_at=killed_in)
    trained = train(params, paths)
    trunk, head = parted(weights(trained))
    assert same(trunk, source[0])  # the batch statistics are among them
    assert not same(head, source[1])
    assert trained.facts["trained_parameters"] < trained.facts["parameters"]
    assert trained.facts["transfer"] == {"weights": str(file), "frozen": True, "tensors": len(trunk)}
    assert trained.history[-1]["val/loss"] < trained.history[0]["val/loss"]


def test_not_frozen_it_learns_on_and_other_weights_are_another_training(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    params, paths = digits(tmp_path / "source", "trainer.max_epochs=2")
    first = train(params, paths)
    save_file(weights(first), file)
    params, paths = digits(tmp_path / "target", f"transfer.weights={file}")
    digest = training.open_session(params, paths)["digest"]
    trained = train(params, paths)
    assert not same(parted(weights(trained))[0], parted(weights(first))[0])
    assert trained.history[0]["val/loss"] < first.history[0]["val/loss"]
    save_file(weights(trained), file)
    assert training.open_session(params, paths)["digest"] != digest


@pytest.mark.parametrize(
    ("section", "why"),
    [({"frozen": True}, "frozen asks for weights"), ({"weights": "model.ckpt"}, r"must end with \.safetensors")],
)
def test_what_makes_no_sense_is_refused(section: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Transfer.model_validate(section)
