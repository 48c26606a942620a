"""The recurrent language model: one state, carried from token to token, is all it remembers (Mikolov et al. 2010).

    x_t = E[token_t],   h_t = cell(x_t, h_{t−1}) in each of n layers,   p(token_{t+1}) = softmax(O h_t)

with an Elman network, an LSTM or a GRU as the cell (layers/recurrent.py), and regularised as AWD-LSTM (Merity et al.
2018): locked dropout, DropConnect on the recurrent matrices, whole words left out of the embedding, O tied to E (Press &
Wolf 2017; Inan et al. 2017). There is no output bias, and of AWD-LSTM neither activation penalties nor averaged SGD.

Training is truncated back-propagation through time: a batch begins with the state in which the batch before it ended,
but no derivative flows back across the cut. That needs batches whose rows go on (tokens/streams.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.cross_entropy import linear_cross_entropy
from inkstone.layers.recurrent import (
    GATES,
    STATES,
    RecurrentLayer,
    embedding_dropout,
    locked_dropout,
    weight_drop,
)
from inkstone.tokens.batches import Batch
from inkstone.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class RecurrentSettings:
    """The shape of a recurrent language model."""

    vocab_size: int
    width: int  # of the embedding
    hidden: int  # of each layer's state
    n_layers: int
    context: int = 64  # tokens through which a derivative flows back; no limit on what is remembered
    cell: str = "lstm"  # or "rnn", "gru"
    tied: bool = True  # the output matrix is the embedding, behind a projection where the widths differ
    dropout: float = 0.0  # locked: of the embedded input, between the layers, and of the output
    weight_drop: float = 0.0  # of the recurrent matrices
    embedding_dropout: float = 0.0  # of whole words

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "width", "hidden", "n_layers", "context"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        if self.cell not in GATES:
            raise RecipeError(f"cell = {self.cell!r}, but must be one of {', '.join(map(repr, GATES))}")
        for name in ("dropout", "weight_drop", "embedding_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be from 0 to below 1")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "RecurrentSettings":
        """As much work a token as a decoder of this width and depth, in one to three layers of whatever width that takes.

        Plain recurrent layers do not train in great depth, so the work goes into their width.
        """
        shape: dict[str, Any] = {
            "vocab_size": vocab_size,
            "width": width,
            "n_layers": 1 if n_layers < 4 else 2 if n_layers < 8 else 3,
        }
        shape |= {"context": 64 if width < 512 else 128} | given
        if "hidden" not in given:
            wanted = n_layers * (12 * width**2 + width * (128 if width < 128 else 256))
            hidden = 16
            while cls(hidden=hidden + 16, **shape)._recurrent_parameters() <= wanted:
                hidden += 16
            shape["hidden"] = hidden
        return cls(**shape)

    def _recurrent_parameters(self) -> int:
        inputs = self.width + (self.n_layers - 1) * self.hidden
        projection = self.hidden * self.width if self.projected else 0
        return GATES[self.cell] * self.hidden * (inputs + self.n_layers * self.hidden) + projection

    @property
    def projected(self) -> bool:
        """Whether a matrix leads from the last state to the width of the embedding."""
        return self.tied and self.hidden != self.width

    def matrix_parameters(self) -> int:
        """Weights that each token is multiplied with: all matrices, the output one included, the look-up not."""
        return self._recurrent_parameters() + self.vocab_size * (self.width if self.tied else self.hidden)

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step for each token: 6 for each weight."""
        return 6.0 * self.matrix_parameters()


@dataclass(frozen=True)
class RecurrentState:
    """The states of all layers, and how many tokens led to them."""

    states: Float[Tensor, "layers s b n"]
    length: int = 0

    def select(self, rows: Int[Tensor, " n"]) -> "RecurrentState":
        """These rows in this order."""
        return RecurrentState(self.states[:, :, rows], self.length)

    def join(self, others: Sequence["RecurrentState"]) -> "RecurrentState":
        """These rows and those of others."""
        return RecurrentState(torch.cat([state.states for state in (self, *others)], dim=2), self.length)


class Recurrent(nn.Module):
    """A recurrent language model. `forward` gives the logits of training; `start` and `step` obey `LanguageModel`."""

    family: ClassVar[str] = "recurrent"
    Settings: ClassVar = RecurrentSettings

    def __init__(self, settings: RecurrentSettings, tokenizer: Tokenizer):
        super().__init__()
        s = self.settings = settings
        self.tokenizer = tokenizer
        self.embedding = nn.Embedding(s.vocab_size, s.width)
        self.layers = nn.ModuleList(
            RecurrentLayer(s.cell, s.hidden if layer else s.width, s.hidden) for layer in range(s.n_layers)
        )
        self.projection = nn.Linear(s.hidden, s.width, bias=False) if s.projected else None
        self.head = None if s.tied else nn.Linear(s.hidden, s.vocab_size, bias=False)
        self._carried: Tensor | None = None

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "Recurrent":
        """Draw fresh weights: the embedding with deviation 0.4, layers as RecurrentLayer says, other matrices 1/√fan-in."""
        # Much smaller, an LSTM hardly hears its input for the first hundreds of steps.
        self.embedding.weight.normal_(0, 0.4, generator=generator)
        for layer in self._layers():
            layer.initialise(generator)
        for matrix in (self.projection, self.head):
            if matrix is not None:
                matrix.weight.normal_(0, self.settings.hidden**-0.5, generator=generator)
        self._carried = None
        return self

    @property
    def output_weight(self) -> Float[Tensor, "v width"]:
        """The matrix that turns a hidden state into logits."""
        return self.embedding.weight if self.head is None else self.head.weight

    def n_parameters(self) -> int:
        """Numbers that training can change; a tied matrix counts once."""
        return sum(weight.numel() for weight in self.parameters())

    def read(
        self,
        ids: Int[Tensor, "b t"],
        states: Float[Tensor, "layers s b n"],
        begins: Bool[Tensor, "b t"] | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Float[Tensor, "b t width"], Float[Tensor, "layers s b n"]]:
        """The output after each position, and the states after the last. `begins`: where to begin from nothing."""
        s = self.settings
        dropout, dropped, words = (s.dropout, s.weight_drop, s.embedding_dropout) if self.training else (0.0, 0.0, 0.0)
        # Time first, so that what one step reads lies together.
        x = F.embedding(ids.T, embedding_dropout(self.embedding.weight, words, generator))
        x = locked_dropout(x, dropout, generator)
        if begins is not None:
            begins = begins.T
        after = []
        for layer, state in zip(self._layers(), states, strict=True):
            weight = weight_drop(layer.weight_hh, dropped, generator) if dropped else None
            x, state = layer(x, state, begins, weight)
            x = locked_dropout(x, dropout, generator)
            after.append(state)
        if self.projection is not None:
            x = self.projection(x)
        return x.transpose(0, 1), torch.stack(after)

    def hidden(self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t width"]:
        """What the logits are made from. `document` numbers the document of each position; each begins from nothing."""
        return self.read(ids, self._nothing(len(ids)), _begins(document))[0]

    def forward(self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Logits of the token after each position."""
        return F.linear(self.hidden(ids, document), self.output_weight)

    def loss(self, batch: Batch, generator: torch.Generator | None = None, progress: float = 0.0) -> Float[Tensor, ""]:
        """Mean nats per token. In training, rows that go on begin in the state in which the batch before ended."""
        states, begins = self._nothing(len(batch.ids)), _begins(batch.document)
        carried = self._carried if self.training and batch.continues else None
        if carried is not None and carried.shape == states.shape:
            # The end token at a row's first place opens a document, which `document` alone does not say.
            fresh = (batch.ids[:, 0] == self.tokenizer.end)[:, None]
            states = torch.where(fresh, 0.0, carried.to(states))
        hidden, after = self.read(batch.ids, states, begins, generator)
        if self.training:
            # After weights that were not finite had to be given up, so must their state.
            whole = batch.continues and bool(after.isfinite().all())
            self._carried = after.detach() if whole else None
        return linear_cross_entropy(hidden.flatten(0, 1), self.output_weight, batch.targets.flatten())

    def carried_state(self) -> dict[str, Tensor]:
        """What a resumed run needs beside the weights to go on bit for bit; empty before the first batch."""
        return {} if self._carried is None else {"carried": self._carried}

    def restore_carried(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `carried_state` gave; an empty one begins from nothing."""
        self._carried = tensors.get("carried")

    def start(self, batch: int) -> RecurrentState:
        """Nothing read: states of zeros for `batch` rows."""
        return RecurrentState(self._nothing(batch))

    def step(
        self, ids: Int[Tensor, "b t"], state: RecurrentState, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], RecurrentState]:
        """Log-probabilities of the token after each position (`last`: only the final one), and the state."""
        hidden, states = self.read(ids, state.states)
        logits = F.linear(hidden[:, -1:] if last else hidden, self.output_weight)
        return logits.float().log_softmax(-1), RecurrentState(states, state.length + ids.shape[1])

    def matrices(self) -> Iterator[tuple[str, nn.Parameter, tuple[int, ...]]]:
        """The hidden matrices, each with the numbers of rows of the maps that are stacked in it: one a gate."""
        for name, weight in self.named_parameters():
            if name.startswith("layers") and weight.dim() == 2:
                yield name, weight, (self.settings.hidden,) * GATES[self.settings.cell]
            elif name == "projection.weight":
                yield name, weight, (weight.shape[0],)

    def _nothing(self, batch: int) -> Tensor:
        s = self.settings
        return self.embedding.weight.new_zeros(s.n_layers, STATES[s.cell], batch, s.hidden)

    def _layers(self) -> Iterator[RecurrentLayer]:
        return iter(self.layers)  # type: ignore[arg-type]


def _begins(document: Tensor | None) -> Tensor | None:
    """Where the number of the document changes within a row; None where it nowhere does."""
    if document is None:
        return None
    begins = torch.zeros_like(document, dtype=torch.bool)
    begins[:, 1:] = document[:, 1:] != document[:, :-1]
    return begins if bool(begins.any()) else None
