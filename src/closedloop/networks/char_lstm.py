"""A recurrent language model of characters."""

import torch
from torch import Tensor, nn

from closedloop.networks.schema import CharLSTM as Config

State = tuple[Tensor, Tensor]  # hidden and cell, each (N, layers, hidden)


class CharLSTM(nn.Module):
    """Embedded characters through an LSTM; its state after each gives the logits of the next one.

    Hochreiter and Schmidhuber, "Long short-term memory", 1997; dropout between layers and before the head only, as in
    Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization", 2014.
    """

    def __init__(self, config: Config, characters: int) -> None:
        super().__init__()
        self.layers, self.hidden = config.layers, config.hidden
        self.characters = nn.Embedding(characters, config.width)
        nn.init.normal_(self.characters.weight, std=0.1)
        self.dropout = nn.Dropout(config.dropout)
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(config.width, config.hidden, config.layers, batch_first=True, dropout=between)
        self.head = nn.Linear(config.hidden, characters)

    def forward(self, tokens: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Characters (N, steps) after a state -> logits of the next one (N, steps, characters), and the state then."""
        state = (hidden.transpose(0, 1).contiguous(), cell.transpose(0, 1).contiguous())
        read, (hidden, cell) = self.lstm(self.dropout(self.characters(tokens)), state)
        logits: Tensor = self.head(self.dropout(read))
        return logits, hidden.transpose(0, 1), cell.transpose(0, 1)

    def start(self, rows: int) -> State:
        """The state before the first character."""
        return tuple(torch.zeros(rows, self.layers, self.hidden, device=self.head.weight.device) for _ in range(2))  # type: ignore[return-value]
