"""An LSTM that reads a text, and one that writes a text given a latent vector (Bowman et al. 2016, section 3).

reader   fₜ = LSTM(e₁ … eₜ)
writer   hₜ = LSTM(e₁ + A z, …, eₜ + A z)  from the state (tanh(B z), C z)
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class LstmReader(nn.Module):
    """Features of every position of a text, each knowing what stands before it."""

    def __init__(self, width: int, n_layers: int):
        super().__init__()
        self.lstm = nn.LSTM(width, width, n_layers, batch_first=True)

    def forward(self, x: Float[Tensor, "n t width"], valid: Bool[Tensor, "n t"]) -> Float[Tensor, "n t width"]:
        """Padding stands on the right, where a reader from left to right has no use for `valid`."""
        return self.lstm(x)[0]


class LstmWriter(nn.Module):
    """States from which the next tokens are foretold, the latent vector at every position and in the first state."""

    def __init__(self, width: int, n_layers: int, latent: int):
        super().__init__()
        self.shape = (n_layers, width)
        self.lstm = nn.LSTM(width, width, n_layers, batch_first=True)
        self.to_input = nn.Linear(latent, width, bias=False)
        self.to_state = nn.Linear(latent, 2 * n_layers * width)

    def forward(
        self, x: Float[Tensor, "n t width"], z: Float[Tensor, "n latent"], memory: list[Tensor] | None
    ) -> tuple[Float[Tensor, "n t width"], list[Tensor]]:
        """Read on from `memory`, or from the beginning where there is none: [hidden, cell], each (n, layers, width)."""
        memory = self.begin(z) if memory is None else memory
        state = (memory[0].transpose(0, 1).contiguous(), memory[1].transpose(0, 1).contiguous())
        out, (hidden, cell) = self.lstm(x + self.to_input(z)[:, None], state)
        return out, [hidden.transpose(0, 1), cell.transpose(0, 1)]

    def begin(self, z: Float[Tensor, "n latent"]) -> list[Tensor]:
        """What is remembered when nothing was read."""
        hidden, cell = self.to_state(z).view(len(z), 2, *self.shape).unbind(1)
        return [torch.tanh(hidden), cell]

    def restart(self, memory: list[Tensor], rows: Bool[Tensor, " n"], z: Float[Tensor, "n latent"]) -> list[Tensor]:
        """The memory with some rows at the beginning again."""
        fresh = self.begin(z)
        return [torch.where(rows[:, None, None], new, old) for new, old in zip(fresh, memory, strict=True)]
