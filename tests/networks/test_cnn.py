"""The convolutional network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.config import CNN
from closedloop.errors import ConfigError
from closedloop.networks.build import Input, build_network


def test_the_classic_network_has_the_classic_size() -> None:
    config = CNN(name="cnn", filters=[32, 64, 64], dense=[64], normalisation="none", dropout=0)
    network = build_network(config, {"inputs": Input((1, 28, 28))}, 10)
    # 3x3 convolutions without padding: 28 - 26 - 13 - 11 - 5 - 3, so 576 values reach the dense layer
    convolutions = (9 * 1 + 1) * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 64
    assert sum(p.numel() for p in network.parameters()) == convolutions + (576 + 1) * 64 + (64 + 1) * 10


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=4),
    st.sampled_from(["none", "batch"]),
    st.sampled_from([(1, 8, 8), (1, 28, 28), (3, 33, 17)]),
    st.integers(0, 2),
)
def test_any_configuration_maps_images_to_logits(
    filters: list[int], normalisation: str, shape: tuple[int, int, int], pooled: int
) -> None:
    config = CNN(name="cnn", filters=filters, normalisation=normalisation, padding="same", pooled_layers=pooled)
    assert build_network(config, {"inputs": Input(shape)}, 7)(torch.zeros(2, *shape)).shape == (2, 7)


def test_an_image_too_small_is_answered_with_what_to_change() -> None:
    with pytest.raises(ConfigError, match=r"8x8 vanishes in 3 convolutions.*model\.padding=same"):
        build_network(CNN(name="cnn", padding="valid"), {"inputs": Input((1, 8, 8))}, 10)


@pytest.mark.parametrize(("side", "same"), [(17, True), (18, False), (28, False), (8, True)])
def test_padding_is_added_where_an_image_would_vanish_without(side: int, same: bool) -> None:
    """17 - 15 - 7 - 5 - 2 leaves nothing to a third convolution; 18 - 16 - 8 - 6 - 3 - 1."""

    def widths(padding: str) -> list[torch.Size]:
        config = CNN.model_validate({"name": "cnn", "padding": padding})
        network = build_network(config, {"inputs": Input((1, side, side + 9))}, 10)
        return [parameter.shape for parameter in network.parameters()]

    assert widths("auto") == widths("same" if same else "valid")
