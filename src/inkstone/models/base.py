"""The contract of every language model: how likely is this text, and what comes next?

Generation, scoring, beam search and the comparison table are written once against it.
"""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from inkstone.tokens.tokenizer import Tokenizer


@runtime_checkable
class State(Protocol):
    """What a model remembers of the tokens it has read, for every row of a batch."""

    length: int  # tokens read so far, the same for all rows

    def select(self, rows: Int[Tensor, " n"]) -> "State":
        """The state with these rows in this order; a row may come several times (beams, samples) or not at all."""
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
