"""Random affine maps."""

import torch

from closedloop.networks.augmentation import augment, random_affine
from closedloop.networks.schema import Affine, NoAugmentation


def blob() -> torch.Tensor:
    images = torch.full((64, 1, 28, 28), -0.4)
    images[:, :, 10:18, 12:16] = 2.0
    return images


def test_nothing_configured_changes_nothing() -> None:
    assert torch.equal(augment({"inputs": blob()}, NoAugmentation())["inputs"], blob())
    assert torch.allclose(augment({"inputs": blob()}, Affine())["inputs"], blob(), atol=1e-5)


def test_each_image_gets_its_own_map_and_the_background_stays() -> None:
    torch.manual_seed(0)
    mapped = random_affine(blob(), Affine(rotation_degrees=15, translation=0.1, scale=0.1, shear_degrees=5))
    assert mapped.shape == (64, 1, 28, 28)
    assert len({tuple(image.flatten().tolist()) for image in mapped}) == 64
    assert torch.allclose(mapped[:, :, 0, 0], torch.tensor(-0.4))
    assert mapped.min() >= -0.4 - 1e-5 and mapped.max() <= 2 + 1e-5


def test_translation_is_a_share_of_the_side() -> None:
    torch.manual_seed(0)
    mapped = random_affine(blob(), Affine(translation=0.1))
    columns = (mapped[:, 0] + 0.4).sum(dim=1)
    centres = (columns * torch.arange(28)).sum(dim=1) / columns.sum(dim=1)
    moved = (centres - 13.5).abs()
    assert 2.0 < moved.max() <= 2.8 + 0.1  # a tenth of 28 pixels
