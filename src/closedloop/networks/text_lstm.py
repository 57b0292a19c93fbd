"""A bidirectional LSTM for texts."""

import torch
from torch import Tensor, nn

from closedloop.networks.schema import TextLSTM as Config
from closedloop.networks.texts import PADDING, NGramLogits, summary, used


class TextLSTM(nn.Module):
    """Tokens read forwards and backwards; the summary of both readings gives logits, n-grams add theirs.

    Hochreiter and Schmidhuber, "Long short-term memory", 1997; both ways: Graves and Schmidhuber, 2005. The backward
    reading begins at the last token and not in the padding, so that a text reads alike however long its row is.
    """

    def __init__(self, config: Config, tokens: int, ngrams: int, outputs: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(tokens, config.width, padding_idx=PADDING)
        nn.init.normal_(self.tokens.weight, std=0.05)
        with torch.no_grad():
            self.tokens.weight[PADDING] = 0
        self.dropout = nn.Dropout(config.dropout)
        between = config.dropout if config.layers > 1 else 0.0
        self.forwards, self.backwards = (
            nn.LSTM(config.width, config.hidden, config.layers, batch_first=True, dropout=between) for _ in range(2)
        )
        self.head = nn.Linear(4 * config.hidden, outputs)
        self.ngrams = NGramLogits(ngrams, outputs, config.ngram_scale, config.ngram_dropout)

    def forward(self, tokens: Tensor, ngrams: Tensor, weights: Tensor) -> Tensor:
        if self.training:
            tokens = tokens[:, : used(tokens)]
        seen = tokens != PADDING  # (N, L)
        states = self.dropout(self.tokens(tokens))  # (N, L, D)
        last = seen.sum(dim=1, keepdim=True) - 1
        mirrored = (last - torch.arange(tokens.shape[1], device=tokens.device)).clamp(min=0)  # padding stays behind
        reversed_states = states.gather(1, mirrored[:, :, None].expand(-1, -1, states.shape[2]))
        read = [summary(self.forwards(states)[0], seen), summary(self.backwards(reversed_states)[0], seen)]
        logits: Tensor = self.head(self.dropout(torch.cat(read, dim=1)))
        added: Tensor = logits + self.ngrams(ngrams, weights)
        return added
