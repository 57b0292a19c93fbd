"""A small transformer encoder for texts."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from closedloop.networks.schema import TextTransformer as Config
from closedloop.networks.texts import PADDING, NGramLogits, summary, used


class TextTransformer(nn.Module):
    """Tokens and their places through encoder blocks; the summary of what they become gives logits, n-grams add theirs.

    Vaswani et al., "Attention is all you need", 2017, with the normalisation before each part (Xiong et al., 2020).
    """

    def __init__(self, config: Config, longest: int, tokens: int, ngrams: int, outputs: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(tokens, config.width, padding_idx=PADDING)
        self.places = nn.Embedding(longest, config.width)
        for table in (self.tokens, self.places):
            nn.init.normal_(table.weight, std=0.05)
        with torch.no_grad():
            self.tokens.weight[PADDING] = 0
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(2 * config.width, outputs)
        self.ngrams = NGramLogits(ngrams, outputs, config.ngram_scale, config.ngram_dropout)

    def forward(self, tokens: Tensor, ngrams: Tensor, weights: Tensor) -> Tensor:
        if self.training:
            tokens = tokens[:, : used(tokens)]
        seen = tokens != PADDING  # (N, L)
        states = self.dropout(self.tokens(tokens) + self.places.weight[: tokens.shape[1]])  # (N, L, D)
        for block in self.blocks:
            states = block(states, seen)
        logits: Tensor = self.head(self.dropout(summary(self.norm(states), seen)))
        added: Tensor = logits + self.ngrams(ngrams, weights)
        return added


class Block(nn.Module):
    """Attention to all places seen, then two layers at each place; both are added to what came in."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = nn.Linear(width, 3 * width)  # query, key and value
        self.joined = nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, seen: Tensor) -> Tensor:
        states = states + self.dropout(self.attention(self.before_attention(states), seen))
        changed: Tensor = states + self.dropout(self.layers(self.before_layers(states)))
        return changed

    def attention(self, states: Tensor, seen: Tensor) -> Tensor:
        count, length, width = states.shape
        split = self.asked(states).reshape(count, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (N, heads, L, D / heads)
        # a bias that is finite: of a text without tokens nothing becomes no number
        bias = (1 - seen.to(states.dtype))[:, None, None, :] * -1e4
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        joined: Tensor = self.joined(mixed.transpose(1, 2).reshape(count, length, width))
        return joined
