"""The convolutional reader of Kim 2014: filters over the words of a text, each of which looks for one short pattern.

    fⱼ[t] = max(0, bⱼ + Σ_{i<k} ⟨Wⱼ[i], e(x_{t+i})⟩)        one filter of width k
    text  = max over t of every fⱼ                             the head's pooling "max" (max over time)

It is no language model: a filter sees what stands after a position too. Filters of several widths stand side by side. Source: Kim
2014, section 2; the dropout on the pooled features is the head's.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import RecipeError
from inkstone.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class TextCNNSettings:
    """The shape of the reader."""

    vocab_size: int
    width: int  # of the embedding
    filters: int = 100  # of each width
    kernels: tuple[int, ...] = (3, 4, 5)  # tokens that a filter sees
    context: int = 512  # longest text in tokens
    dropout: float = 0.2  # on the embeddings

    def __post_init__(self):
        """Refuse shapes that cannot be."""
        for name in ("vocab_size", "width", "filters", "context"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} = {getattr(self, name)}, but must be at least 1")
        if not self.kernels or min(self.kernels) < 1:
            raise RecipeError(f"kernels = {self.kernels}, but a filter sees at least 1 token")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout = {self.dropout}, but must be at least 0 and below 1")

    @classmethod
    def of_size(cls, vocab_size: int, width: int, n_layers: int, /, **given: Any) -> "TextCNNSettings":
        """The reader of this width; there is one layer whatever `n_layers`."""
        given.pop("n_layers", None)
        width = given.pop("width", width)
        return cls(**{"vocab_size": vocab_size, "width": width, "filters": width, **given})


class TextCNN(nn.Module):
    """A body for `Headed`: `encode` gives the features at every position, of all filters side by side."""

    family: ClassVar[str] = "text_cnn"
    Settings: ClassVar = TextCNNSettings

    def __init__(self, settings: TextCNNSettings, tokenizer: Tokenizer):
        super().__init__()
        self.settings, self.tokenizer = settings, tokenizer
        self.embedding = nn.Embedding(settings.vocab_size, settings.width)
        self.filters = nn.ModuleList(nn.Conv1d(settings.width, settings.filters, k) for k in settings.kernels)

    @property
    def state_width(self) -> int:
        """Features at a position."""
        return self.settings.filters * len(self.settings.kernels)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> "TextCNN":
        """Draw fresh weights: embeddings with deviation 0.1, filters with √(2 / fan-in) (He et al. 2015)."""
        for name, weight in self.named_parameters():
            if weight.dim() == 1:
                weight.zero_()
            elif name == "embedding.weight":
                weight.normal_(0, 0.1, generator=generator)
            else:
                weight.normal_(0, (2 / (weight.shape[1] * weight.shape[2])) ** 0.5, generator=generator)
        return self

    def encode(
        self,
        ids: Int[Tensor, "b t"],
        document: Int[Tensor, "b t"] | None = None,
        types: Int[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b t features"]:
        """The features where each filter begins to read; beyond the text it reads zeros. `document` is −1 at padding.

        Two texts of a pair are read one after the other; `types` are not looked at.
        """
        x = self.embedding(ids)
        x = F.dropout(x, self.settings.dropout, self.training)
        if document is not None:
            x = x * (document >= 0)[..., None].to(x)
        x = x.transpose(1, 2)
        kernels = zip(self.filters, self.settings.kernels, strict=True)
        found = [torch.relu(filters(F.pad(x, (0, kernel - 1)))) for filters, kernel in kernels]
        return torch.cat(found, dim=1).transpose(1, 2)
