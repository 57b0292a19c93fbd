"""What networks for texts share: the places that are seen, a summary of them, and character n-grams beside it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PADDING, UNKNOWN = 0, 1  # token ids, as the preprocessor gives them


def used(ids: Tensor) -> int:
    """How many columns of ids (N, L) hold more than padding, which stands behind: for training, where it saves time."""
    return max(1, int((ids != PADDING).sum(dim=1).max()))


def summary(states: Tensor, seen: Tensor) -> Tensor:
    """The maximum and the mean over the places seen: (N, L, D), (N, L) -> (N, 2 D); zeros where none is."""
    mask = seen[:, :, None].to(states.dtype)
    highest = torch.amax(states - (1 - mask) * 1e4, dim=1) * seen.any(dim=1, keepdim=True)
    mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return torch.cat([highest, mean], dim=1)


class NGramLogits(nn.Module):
    """A linear model of weighted n-grams, to be added to what a network makes of the tokens.

    It is the wide part of "Wide and deep learning" (Cheng et al., 2016). Its weights start at 0; as they meet inputs
    of length 1, `scale` is what lets them be learnt as fast as all others.
    """

    def __init__(self, size: int, outputs: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.scale, self.dropout = scale, dropout
        self.each = nn.Embedding(size, outputs, padding_idx=PADDING)
        nn.init.zeros_(self.each.weight)

    def forward(self, ngrams: Tensor, weights: Tensor) -> Tensor:
        if self.training:
            columns = used(ngrams)
            ngrams, weights = ngrams[:, :columns], weights[:, :columns]
        weights = F.dropout(weights, self.dropout, self.training)
        logits: Tensor = self.scale * (self.each(ngrams) * weights[:, :, None]).sum(dim=1)  # over (N, M, outputs)
        return logits
