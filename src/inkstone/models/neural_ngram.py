"""The neural n-gram model (Bengio, Ducharme, Vincent & Jauvin 2003): word vectors, learned to foresee the next word.

    x = (E[w_{t−n+2}], …, E[w_t])   the vectors of the last n − 1 tokens, side by side
    p(w_{t+1}) = softmax(U tanh(d + H x) + W x)

W, the direct connections, is optional and left out by default; so is, always, the published output bias. What lies
before the beginning of the text has a vector of zeros.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.convolution import causal_windows, visible_inputs
from inkstone.models.decoder import context_for
from inkstone.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class NeuralNgramSettings:
    """The shape of a neural n-gram model."""

    vocab_size: int
    width: int  # of a token's vector
    hidden: int  # of the tanh layer
    context: int  # tokens of a row in training; a prediction depends on order − 1
    order: int = 8  # n: the tokens before, and the one foreseen
    direct: bool = False  # whether the vectors lead to the output without the tanh layer, too
    dropout: float = 0.0  # of what the output is made from

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "width", "hidden", "context"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        if self.order < 2:
            raise RecipeError(f"order = {self.order}, but must be at least 2: a token before, and the one foreseen")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout = {self.dropout}, but must be from 0 to below 1")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "NeuralNgramSettings":
        """As much work a token as a decoder of this width and depth, by the width of the one hidden layer.

        Direct connections come on top of that.
        """
        shape: dict[str, Any] = {
            "vocab_size": vocab_size,
            "width": width,
            "context": context_for(width),
            "order": cls.order,
        } | given
        shape.pop("n_layers", None)  # there is always one
        if "hidden" not in given:
            wanted = n_layers * (12 * width**2 + width * context_for(width)) + vocab_size * width
            each = (shape["order"] - 1) * shape["width"] + vocab_size
            shape["hidden"] = max(16, 16 * round(wanted / each / 16))
        return cls(**shape)

    @property
    def window(self) -> int:
        """Numbers of the vectors that a prediction is made from."""
        return (self.order - 1) * self.width

    @property
    def output_width(self) -> int:
        """Numbers that each logit is a product with."""
        return self.hidden + (self.window if self.direct else 0)

    def matrix_parameters(self) -> int:
        """Weights that each token is multiplied with: all matrices, the output one included, the look-up not."""
        return self.window * self.hidden + self.vocab_size * self.output_width

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step for each token: 6 for each weight."""
        return 6.0 * self.matrix_parameters()


@dataclass(frozen=True)
class NeuralNgramState:
    """The vectors of the last order − 2 tokens, zeros where there are none, and how many tokens were read."""

    vectors: Float[Tensor, "b s width"]
    length: int = 0

    def select(self, rows: Int[Tensor, " n"]) -> "NeuralNgramState":
        """These rows in this order."""
        return NeuralNgramState(self.vectors[rows], self.length)

    def join(self, others: Sequence["NeuralNgramState"]) -> "NeuralNgramState":
        """These rows and those of others."""
        return NeuralNgramState(torch.cat([state.vectors for state in (self, *others)]), self.length)


class NeuralNgram(nn.Module):
    """A neural n-gram model. `forward` gives the logits of training; `start` and `step` obey `LanguageModel`."""

    family: ClassVar[str] = "neural_ngram"
    Settings: ClassVar = NeuralNgramSettings

    def __init__(self, settings: NeuralNgramSettings, tokenizer: Tokenizer):
        super().__init__()
        s = self.settings = settings
        self.tokenizer = tokenizer
        self.embedding = nn.Embedding(s.vocab_size, s.width)
        self.layer = nn.Linear(s.window, s.hidden)  # H and d
        self.head = nn.Linear(s.output_width, s.vocab_size, bias=False)  # U, and beside it W

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "NeuralNgram":
        """Draw fresh weights: vectors with deviation 1, H with 1/√fan-in, the output near zero, biases zero."""
        self.embedding.weight.normal_(0, 1, generator=generator)
        self.layer.weight.normal_(0, self.settings.window**-0.5, generator=generator)
        self.layer.bias.zero_()
        self.head.weight.normal_(0, 0.02, generator=generator)
        return self

    @property
    def output_weight(self) -> Float[Tensor, "v width"]:
        """The matrix that turns a hidden state into logits: U, and W beside it where there are direct connections."""
        return self.head.weight

    def n_parameters(self) -> int:
        """Numbers that training can change."""
        return sum(weight.numel() for weight in self.parameters())

    def read(
        self,
        ids: Int[Tensor, "b t"],
        before: Float[Tensor, "b s vector"],
        visible: Bool[Tensor, "b t k"] | None = None,
    ) -> tuple[Float[Tensor, "b t width"], Float[Tensor, "b s vector"]]:
        """What the logits are made from, and the vectors of the last tokens."""
        x, after = causal_windows(self.embedding(ids), before, visible)
        hidden = torch.tanh(self.layer(x))
        if self.settings.direct:
            hidden = torch.cat((hidden, x), dim=-1)
        if self.settings.dropout:
            hidden = F.dropout(hidden, self.settings.dropout, self.training)
        return hidden, after

    def hidden(self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t width"]:
        """What the logits are made from: tanh(d + H x), and x with direct connections. No window leaves its document."""
        visible = None if document is None else visible_inputs(document, self.settings.order - 1)
        return self.read(ids, self._nothing(len(ids)), visible)[0]

    def forward(self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Logits of the token after each position."""
        return F.linear(self.hidden(ids, document), self.output_weight)

    def start(self, batch: int) -> NeuralNgramState:
        """Nothing read: zeros before the first token of `batch` rows."""
        return NeuralNgramState(self._nothing(batch))

    def step(
        self, ids: Int[Tensor, "b t"], state: NeuralNgramState, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], NeuralNgramState]:
        """Log-probabilities of the token after each position (`last`: only the final one), and the state."""
        hidden, vectors = self.read(ids, state.vectors)
        logits = F.linear(hidden[:, -1:] if last else hidden, self.output_weight)
        return logits.float().log_softmax(-1), NeuralNgramState(vectors, state.length + ids.shape[1])

    def matrices(self) -> Iterator[tuple[str, nn.Parameter, tuple[int, ...]]]:
        """The hidden matrix, with its number of rows."""
        yield "layer.weight", self.get_parameter("layer.weight"), (self.settings.hidden,)

    def _nothing(self, batch: int) -> Tensor:
        s = self.settings
        return self.embedding.weight.new_zeros(batch, s.order - 2, s.width)
