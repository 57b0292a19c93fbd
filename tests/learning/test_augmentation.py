"""Random affine maps."""

import torch

from closedloop.config import Augmentation
from closedloop.learning.augmentation import is_active, random_affine


def blob() -> torch.Tensor:
    images = torch.full((64, 1, 28, 28), -0.4)
    images[:, :, 10:18, 12:16] = 2.0
    return images


def test_nothing_configured_changes_nothing() -> None:
    assert not is_active(Augmentation())
    assert torch.allclose(random_affine(blob(), Augmentation()), blob(), atol=1e-5)


def test_each_image_gets_its_own_map_and_the_background_stays() -> None:
    torch.manual_seed(0)
    mapped = random_affine(blob(), Augmentation(rotation_degrees=15, translation=0.1, scale=0.1, shear_degrees=5))
    assert mapped.shape == (64, 1, 28, 28)
    assert len({tuple(image.flatten().tolist()) for image in mapped}) == 64
    assert torch.allclose(mapped[:, :, 0, 0], torch.tensor(-0.4))
    assert mapped.min() >= -0.4 - 1e-5 and mapped.max() <= 2 + 1e-5


def test_translation_is_a_share_of_the_side() -> None:
    torch.manual_seed(0)
    mapped = random_affine(blob(), Augmentation(translation=0.1))
    columns = (mapped[:, 0] + 0.4).sum(dim=1)
    centres = (columns * torch.arange(28)).sum(dim=1) / columns.sum(dim=1)
    moved = (centres - 13.5).abs()
    assert 2.0 < moved.max() <= 2.8 + 0.1  # a tenth of 28 pixels
