"""Random changes of training batches, on the device of the batch."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from closedloop.networks.schema import Affine, Augmentation


def augment(batch: dict[str, Tensor], config: Augmentation) -> dict[str, Tensor]:
    """A batch of training inputs by name, changed at random as its kind allows."""
    match config:
        case Affine():
            return {**batch, "inputs": random_affine(batch["inputs"], config)}
        case _:
            return batch


def random_affine(images: Tensor, config: Affine) -> Tensor:
    """Rotate, shear, scale and shift each image (N, C, H, W) by its own draw, bilinearly; the border is continued.

    One call for the whole batch: no per-sample work in Python, and nothing leaves the device.
    """
    count, _, height, width = images.shape
    # one draw for all parameters, uniform in [-1, 1)
    draw = torch.rand(count, 6, device=images.device) * 2 - 1
    angle = draw[:, 0] * math.radians(config.rotation_degrees)
    shear = torch.tan(draw[:, 1] * math.radians(config.shear_degrees))
    scale_x, scale_y = 1 + draw[:, 2] * config.scale, 1 + draw[:, 3] * config.scale
    shift = draw[:, 4:6] * 2 * config.translation  # the sampling grid spans [-1, 1]: a side is 2
    cos, sin = torch.cos(angle), torch.sin(angle)
    matrix = torch.stack(
        [
            torch.stack([cos * scale_x, (cos * shear - sin) * scale_y, shift[:, 0]], dim=1),
            torch.stack([sin * scale_x, (sin * shear + cos) * scale_y, shift[:, 1]], dim=1),
        ],
        dim=1,
    )  # (N, 2, 3)
    grid = F.affine_grid(matrix, [count, 1, height, width], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
