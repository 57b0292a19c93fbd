"""The convolutional and recurrent network, and the random changes of spectrograms."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.errors import ConfigError
from closedloop.learning.export import SupervisedServed, answers, export_onnx
from closedloop.learning.objectives import ClassObjective
from closedloop.networks.augmentation import augment
from closedloop.networks.build import Input, build_network
from closedloop.networks.schema import CNNGRU, Spectrogram
from closedloop.targets import Classes

OBJECTIVE = ClassObjective(Classes(("a", "b")), 0.0)  # the export asks it for no more than a softmax


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([(1, 8, 8), (1, 40, 100), (1, 13, 27)]),
    st.integers(0, 2),
)
def test_any_configuration_maps_spectrograms_to_logits(
    filters: list[int], both: bool, shape: tuple[int, int, int], pooled: int
) -> None:
    config = CNNGRU(name="cnn_gru", filters=filters, bidirectional=both, pooled_time=pooled, hidden=5)
    assert build_network(config, {"inputs": Input(shape)}, 7)(torch.zeros(2, *shape)).shape == (2, 7)


def test_a_spectrogram_too_small_is_answered_with_what_to_change() -> None:
    with pytest.raises(ConfigError, match=r"4 bands and 9 frames vanishes in 3 poolings.*fewer model\.filters"):
        build_network(CNNGRU(name="cnn_gru"), {"inputs": Input((1, 4, 9))}, 10)


def test_the_exported_network_answers_as_torch_does_for_any_number_of_sounds(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(CNNGRU(name="cnn_gru", filters=[4, 8], hidden=8), {"inputs": Input((1, 16, 30))}, 5)
    inputs = {"inputs": torch.randn(9, 1, 16, 30)}
    export_onnx(SupervisedServed(network, OBJECTIVE, inputs), inputs, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for count in (1, 2, 9):
        some = {"inputs": inputs["inputs"][:count]}
        answer = session.run(None, {"inputs": some["inputs"].numpy()})[0]
        np.testing.assert_allclose(answer, answers(SupervisedServed(network, OBJECTIVE, some), some).numpy(), atol=1e-5)


def pictures() -> torch.Tensor:
    found = torch.full((64, 1, 40, 100), -1.0)
    found[:, :, 15:20, 40:60] = 3.0
    return found


def test_nothing_configured_changes_nothing() -> None:
    assert torch.allclose(augment({"inputs": pictures()}, Spectrogram())["inputs"], pictures(), atol=1e-4)


def test_each_spectrogram_gets_its_own_changes() -> None:
    torch.manual_seed(0)
    config = Spectrogram(stretch=0.2, shift=0.1, pitch=0.1, tilt=0.5, noise=0.1, masks=2, mask_share=0.2)
    changed = augment({"inputs": pictures()}, config)["inputs"]
    assert changed.shape == (64, 1, 40, 100)
    assert len({tuple(one.flatten().tolist()) for one in changed}) == 64


def centre(found: torch.Tensor, axis: int) -> torch.Tensor:
    mass = (found[:, 0] + 1).sum(dim=3 - axis)
    return (mass * torch.arange(mass.shape[1])).sum(dim=1) / mass.sum(dim=1)


def test_shift_and_pitch_are_shares_of_frames_and_bands() -> None:
    torch.manual_seed(0)
    late = augment({"inputs": pictures()}, Spectrogram(shift=0.1))["inputs"]
    assert 8 < (centre(late, 2) - 49.5).abs().max() <= 10.1
    assert torch.allclose(centre(late, 1), torch.tensor(17.0), atol=0.01)
    high = augment({"inputs": pictures()}, Spectrogram(pitch=0.1))["inputs"]
    assert 3 < (centre(high, 1) - 17).abs().max() <= 4.1
    assert torch.allclose(centre(high, 2), torch.tensor(49.5), atol=0.01)


def test_a_mask_hides_no_more_than_its_share() -> None:
    torch.manual_seed(0)
    hidden = augment({"inputs": pictures()}, Spectrogram(masks=1, mask_share=0.2))["inputs"] == 0
    columns, rows = hidden.all(dim=2).sum(dim=2), hidden.all(dim=3).sum(dim=2)
    assert 15 < columns.max() <= 21 and 6 < rows.max() <= 9
