"""The gated convolutional language model (Dauphin, Fan, Auli & Grangier 2017): a stack of causal convolutions.

    x ← E[token];   x ← x + gated(norm(x)) in each of n layers;   p(next) = softmax(O norm(x))

with gated(x) as layers/convolution.py has it. A prediction sees n (k − 1) + 1 tokens and no more; all positions are
computed at once, as in a Transformer, but what is looked at is fixed by distance. Of the published model, weight
normalisation is replaced by RMSNorm before each layer, and the adaptive softmax and the output bias are left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.layers.convolution import GatedConvolution, visible_inputs
from inkstone.layers.dropout import dropout
from inkstone.layers.normalisation import RMSNorm
from inkstone.models.decoder import context_for
from inkstone.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class ConvolutionalSettings:
    """The shape of a convolutional language model."""

    vocab_size: int
    width: int
    n_layers: int
    context: int  # tokens of a row in training; no limit on what is read
    kernel: int = 4  # positions that one layer sees
    tied: bool = True  # the output matrix is the embedding
    dropout: float = 0.0

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "width", "n_layers", "context", "kernel"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout = {self.dropout}, but must be from 0 to below 1")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "ConvolutionalSettings":
        """As much work a token as a decoder of this width and depth, in as many layers as that takes."""
        shape: dict[str, Any] = {
            "vocab_size": vocab_size,
            "width": width,
            "context": context_for(width),
            "kernel": cls.kernel,
        } | given
        if "n_layers" not in given:
            wanted = n_layers * (12 * width**2 + width * context_for(width))
            shape["n_layers"] = max(1, round(wanted / (2 * shape["kernel"] * shape["width"] ** 2)))
        return cls(**shape)

    @property
    def receptive_field(self) -> int:
        """Tokens that a prediction depends on."""
        return self.n_layers * (self.kernel - 1) + 1

    def matrix_parameters(self) -> int:
        """Weights that each token is multiplied with: all matrices, the output one included, the look-up not."""
        return self.n_layers * 2 * self.kernel * self.width**2 + self.vocab_size * self.width

    def flops_per_token(self) -> float:
        """Floating-point operations of one training step for each token: 6 for each weight."""
        return 6.0 * self.matrix_parameters()


@dataclass(frozen=True)
class ConvolutionalState:
    """The last kernel − 1 inputs of every layer, and how many tokens were read."""

    inputs: Float[Tensor, "layers b s width"]
    length: int = 0

    def select(self, rows: Int[Tensor, " n"]) -> "ConvolutionalState":
        """These rows in this order."""
        return ConvolutionalState(self.inputs[:, rows], self.length)

    def join(self, others: Sequence["ConvolutionalState"]) -> "ConvolutionalState":
        """These rows and those of others."""
        return ConvolutionalState(torch.cat([state.inputs for state in (self, *others)], dim=1), self.length)


class Convolutional(nn.Module):
    """A convolutional language model. `forward` gives the logits of training; `start` and `step` obey `LanguageModel`."""

    family: ClassVar[str] = "convolutional"
    Settings: ClassVar = ConvolutionalSettings

    def __init__(self, settings: ConvolutionalSettings, tokenizer: Tokenizer):
        super().__init__()
        s = self.settings = settings
        self.tokenizer = tokenizer
        self.embedding = nn.Embedding(s.vocab_size, s.width)
        self.norms = nn.ModuleList(RMSNorm(s.width) for _ in range(s.n_layers))
        self.convolutions = nn.ModuleList(GatedConvolution(s.width, s.width, s.kernel) for _ in range(s.n_layers))
        self.norm = RMSNorm(s.width)
        self.head = None if s.tied else nn.Linear(s.width, s.vocab_size, bias=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "Convolutional":
        """Draw fresh weights: matrices with deviation 0.02, convolutions as GatedConvolution says, but for their plain halves:
        these are zero, so that a layer begins as the identity.
        """
        for matrix in (self.embedding, self.head):
            if matrix is not None:
                matrix.weight.normal_(0, 0.02, generator=generator)
        for norm in (*self.norms, self.norm):
            norm.weight.fill_(1.0)  # type: ignore[union-attr, operator]
        for convolution in self._convolutions():
            convolution.initialise(generator)
            convolution.weight[: self.settings.width].zero_()
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
        before: Float[Tensor, "layers b s width"],
        visible: Bool[Tensor, "b t k"] | None = None,
    ) -> tuple[Float[Tensor, "b t width"], Float[Tensor, "layers b s width"]]:
        """The normalised states from which logits are made, and the last inputs of every layer."""
        x, after = self._drop(self.embedding(ids)), []
        for norm, convolution, past in zip(self.norms, self._convolutions(), before, strict=True):
            y, past = convolution(norm(x), past, visible)
            x = x + self._drop(y)
            after.append(past)
        return self.norm(x), torch.stack(after)

    def hidden(self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t width"]:
        """What the logits are made from. No convolution reaches across where the number of the document changes."""
        visible = None if document is None else visible_inputs(document, self.settings.kernel)
        return self.read(ids, self._nothing(len(ids)), visible)[0]

    def forward(self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Logits of the token after each position."""
        return F.linear(self.hidden(ids, document), self.output_weight)

    def start(self, batch: int) -> ConvolutionalState:
        """Nothing read: zeros before the first token of `batch` rows."""
        return ConvolutionalState(self._nothing(batch))

    def step(
        self, ids: Int[Tensor, "b t"], state: ConvolutionalState, last: bool = False
    ) -> tuple[Float[Tensor, "b n v"], ConvolutionalState]:
        """Log-probabilities of the token after each position (`last`: only the final one), and the state."""
        hidden, inputs = self.read(ids, state.inputs)
        logits = F.linear(hidden[:, -1:] if last else hidden, self.output_weight)
        return logits.float().log_softmax(-1), ConvolutionalState(inputs, state.length + ids.shape[1])

    def matrices(self) -> Iterator[tuple[str, nn.Parameter, tuple[int, ...]]]:
        """The hidden matrices, each with the numbers of rows of the maps that are stacked in it: plain half and gate."""
        for name, weight in self.named_parameters():
            if name.startswith("convolutions") and weight.dim() == 2:
                yield name, weight, (self.settings.width, self.settings.width)

    def _nothing(self, batch: int) -> Tensor:
        s = self.settings
        return self.embedding.weight.new_zeros(s.n_layers, batch, s.kernel - 1, s.width)

    def _convolutions(self) -> Iterator[GatedConvolution]:
        return iter(self.convolutions)  # type: ignore[arg-type]

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.settings.dropout, self.training)
