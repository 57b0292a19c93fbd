"""Random changes of training batches, on the device of the batch."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from closedloop.networks.schema import Affine, Augmentation, Spectrogram, TokenDropout
from closedloop.networks.texts import PADDING, UNKNOWN


def augment(batch: dict[str, Tensor], config: Augmentation) -> dict[str, Tensor]:
    """A batch of training inputs by name, changed at random as its kind allows."""
    match config:
        case Affine():
            return {**batch, "inputs": random_affine(batch["inputs"], config)}
        case Spectrogram():
            return {**batch, "inputs": random_spectrogram(batch["inputs"], config)}
        case TokenDropout():
            return {**batch, "tokens": token_dropout(batch["tokens"], config.share)}
        case _:
            return batch


def token_dropout(tokens: Tensor, share: float) -> Tensor:
    """Make a share of the tokens (N, L) unknown, each by its own draw; padding stays."""
    dropped = (torch.rand(tokens.shape, device=tokens.device) < share) & (tokens != PADDING)
    return tokens.masked_fill(dropped, UNKNOWN)


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


def random_spectrogram(pictures: Tensor, config: Spectrogram) -> Tensor:
    """Change each standardised spectrogram (N, 1, mels, frames) by its own draw; the border is continued.

    Masks after SpecAugment (Park et al., 2019), moved pitches after VTLP (Jaitly and Hinton, 2013), here on the mel
    scale, where another length of the vocal tract is about a shift.
    """
    changed = _moved(pictures, config)
    bands = torch.linspace(-0.5, 0.5, pictures.shape[2], device=pictures.device).reshape(1, 1, -1, 1)
    tilts = (torch.rand(len(pictures), 1, 1, 1, device=pictures.device) * 2 - 1) * config.tilt
    changed = changed + tilts * bands + config.noise * torch.randn_like(changed)
    for _ in range(config.masks):
        for axis in (2, 3):
            changed = changed.masked_fill(_mask(changed, axis, config.mask_share), 0.0)  # 0: the mean
    return changed


def _moved(pictures: Tensor, config: Spectrogram) -> Tensor:
    """Stretched and shifted in time, shifted in pitch, bilinearly in one go."""
    draw = torch.rand(len(pictures), 3, device=pictures.device) * 2 - 1
    matrix = torch.zeros(len(pictures), 2, 3, device=pictures.device)
    matrix[:, 0, 0] = 1 + draw[:, 0] * config.stretch
    matrix[:, 0, 2] = draw[:, 1] * 2 * config.shift  # the sampling grid spans [-1, 1]: all frames are 2
    matrix[:, 1, 1] = 1
    matrix[:, 1, 2] = draw[:, 2] * 2 * config.pitch
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _mask(pictures: Tensor, axis: int, share: float) -> Tensor:
    """True for a stretch of an axis, of a random length up to a share of it, at a random place in each picture."""
    length = pictures.shape[axis]
    shape = [len(pictures), 1, 1, 1]
    width = torch.rand(shape, device=pictures.device) * share * length
    start = torch.rand(shape, device=pictures.device) * (length - width)
    places = torch.arange(length, device=pictures.device).reshape([length if d == axis else 1 for d in range(4)])
    return (places >= start) & (places < start + width)
