"""The contract of every language model: how likely is this text, and what comes next?

Generation, scoring, beam search and the comparison table are written once against `LanguageModel`. What more a family
has decides how it is trained, saved and scored:

- Every family is an `nn.Module` whose tensors are all there is of it, with the class attributes `family` (its name) and
  `Settings` (a frozen dataclass that JSON can hold), made by `Family(settings, tokenizer)`.
- Learned by gradient (`NeuralModel`): `initialise`, `Settings.of_size`, and either `hidden` with `output_weight`, from
  which the loss of the next token is made (`tasks/language_modelling.py`), or a `loss` of its own (`OwnLoss`).
- Learned by counting (`CountedModel`): `fit`, `Settings.for_text`.
- Learning from whole sentences or lines (`LearnsPieces`), where others see windows of the text.
- Reading its text in order, with a state that goes on from batch to batch (`CarriesState`): such a model has no longest
  text, and its `settings.context` is only how far gradients go back.
- A likelihood that is not the chain of `step` is given whole (`WholeDocuments`) and named in the attribute `likelihood`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

if TYPE_CHECKING:
    from inkstone.tokens.batches import Batch
    from inkstone.tokens.tokenizer import Tokenizer


@runtime_checkable
class State(Protocol):
    """What a model remembers of the tokens it has read, for every row of a batch."""

    length: int  # tokens read so far, the same for all rows

    def select(self, rows: Int[Tensor, " n"]) -> "State":
        """The state with these rows in this order; a row may come several times (beams, samples) or not at all."""
        ...


@runtime_checkable
class JoinsRows(Protocol):
    """A state whose rows depend on nothing else, not on its `length` either: so rows of several can be read on together."""

    def join(self, others: Sequence[Any]) -> Any:
        """The rows of this state and of others of its kind, one after another."""
        ...


@runtime_checkable
class LanguageModel(Protocol):
    """Any family: from the n-gram to the decoder."""

    tokenizer: "Tokenizer"

    def start(self, batch: int) -> State:
        """The state of `batch` rows before anything was read."""
        ...

    # The state is any, not State: each family takes back only its own.
    def step(self, ids: Int[Tensor, "b t"], state: Any, last: bool = False) -> tuple[Float[Tensor, "b n v"], Any]:
        """Log-probabilities in nats of the token after each position, and the state that carries what was read.

        n = t; with `last`, only those after the final position are computed, and n = 1.
        The old state must not be used again.
        """
        ...


@runtime_checkable
class NextTokenModel(Protocol):
    """A model whose logits are a product with one matrix: its loss and its score never hold all logits at once."""

    def hidden(self, ids: Int[Tensor, "b t"], document: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t width"]:
        """The states before the output matrix. `document` numbers the document of each position; nothing crosses."""
        ...

    @property
    def output_weight(self) -> Float[Tensor, "v width"]:
        """The output matrix."""
        ...


@runtime_checkable
class OwnLoss(Protocol):
    """A model that learns by something else than the next token."""

    def loss(self, batch: "Batch", generator: torch.Generator, progress: float) -> Float[Tensor, ""]:
        """Mean nats for each predicted token; `progress` is the share of the run that is over, for what is annealed."""
        ...


@runtime_checkable
class LearnsPieces(Protocol):
    """A model that learns from whole sentences or lines of at most `settings.context` tokens."""

    @property
    def piece_ends(self) -> UInt8[Tensor, " v"]:
        """What each token means for the end of a piece (tokens/sentence_ends.py)."""
        ...


@runtime_checkable
class CarriesState(Protocol):
    """A model that reads its training text in order and keeps its state from one batch to the next."""

    def carried_state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of that state."""
        ...

    def restore_carried(self, tensors: dict[str, Tensor]) -> None:
        """Take it up again; an empty dict forgets it."""
        ...


@runtime_checkable
class CountedModel(Protocol):
    """A model that is estimated in a pass or a few over the text."""

    def fit(
        self,
        documents: Iterable[Int[np.ndarray, " n"]],
        seconds: float | None,
        generator: torch.Generator,
        report: Callable[[str], None],
    ) -> None:
        """Estimate the model from documents of ids, without their end tokens, within so many seconds."""
        ...


@runtime_checkable
class ReadsThrough(Protocol):
    """A model that gives the chain of its steps over whole documents without whole distributions, and so far faster."""

    def token_nats(self, documents: list[Int[np.ndarray, " n"]]) -> list[Float[np.ndarray, " n+1"]]:
        """Negative log-likelihood in nats of each token of each document, and of its end."""
        ...


@runtime_checkable
class WholeDocuments(Protocol):
    """A model with a likelihood of documents that `step` does not chain up to, such as a bound."""

    likelihood: ClassVar[str]  # what the figure is: "pseudo-log-likelihood", "importance-weighted bound"

    def document_nats(
        self,
        documents: list[Int[np.ndarray, " n"]],
        generator: torch.Generator,
        ends: Sequence[bool] | None = None,
        *,
        most: int | None = None,
    ) -> Float[np.ndarray, " documents"]:
        """Negative log-likelihood in nats of each document, its end token included.

        ends: whether each ends there; a section of a longer document that does not has no end token to pay for. By default
        each does. most: tokens asked for at most, where each costs a pass of its own; a sample then speaks for all. What one
        scored token costs, a family says in `tokens_read_for_each` (`evaluation/affordable.py`).
        """
        ...
