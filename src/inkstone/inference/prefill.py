"""Reading a prompt into a model's state, and going on from it token by token, past the end of its context too."""

from collections.abc import Sequence
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import RunError
from inkstone.inference.window import Window
from inkstone.models.base import LanguageModel, State


def prompt_ids(model: LanguageModel, prompt: str | Sequence[int]) -> list[int]:
    """The tokens to begin with: a prompt is the beginning of a document, and before it stands what stood there in
    training. Where that is nothing, an empty prompt is the end token of the document before. Ids are taken as they are.

    Raises RunError for a model that was tuned to answer otherwise than by going on with a text.
    """
    if not hasattr(model, "step"):
        raise RunError(
            "this model was tuned for a task and does not go on with a text; ask it by: inkstone predict RUN INPUT"
        )
    tokenizer = model.tokenizer
    ids = [*tokenizer.begin, *tokenizer.encode(prompt)] if isinstance(prompt, str) else list(prompt)
    return ids or [tokenizer.end]


def prefill(
    model: LanguageModel, read: Int[Tensor, "b t"], window: Window | None = None
) -> tuple[Float[Tensor, "b v"], State]:
    """Log-probabilities of the next token after texts of equal length, and the state that has read them.

    Of texts longer than the model's context only the last half of a context is read, or with a `window` as much as it leaves.
    """
    longest = _longest(model, window)
    if longest is not None and read.shape[1] > longest:
        read = read[:, -max(1, longest // 2) :] if window is None else window.seen(read)
    scores, state = model.step(read.to(device_of(model)), model.start(read.shape[0]), last=True)
    return _of_tokens(model, scores), state


def advance(
    model: LanguageModel, read: Int[Tensor, "b t"], state: State, window: Window | None = None, tokens: int = 1
) -> tuple[Float[Tensor, "b v"], State]:
    """Read the last token of each row, or so many `tokens`, for which there must be room unless it is one.

    A state that is full is made anew from the last half of a context.

    Half, because then it happens once in so many tokens, and every token still sees half a context or more. With a `window`
    the oldest tokens after the sinks are forgotten instead, and nothing is read again.
    """
    longest = _longest(model, window)
    if longest is not None and state.length >= longest:
        if window is None:
            return prefill(model, read[:, -max(1, longest // 2) :])
        window.slide(model, state)  # type: ignore[arg-type]
    scores, state = model.step(read[:, -tokens:].to(device_of(model)), state, last=True)
    return _of_tokens(model, scores), state


def room_in(model: LanguageModel, state: State, window: Window | None = None) -> int | None:
    """Tokens that can be read before the state is full; None for one that never is."""
    longest = _longest(model, window)
    return None if longest is None else max(0, longest - state.length)


def context_of(model: LanguageModel) -> int | None:
    """Tokens that a model was trained to take account of at once; None for one without such a bound."""
    if hasattr(model, "carried_state"):  # asked at every token, and `isinstance` of a protocol is slow
        return None
    return getattr(getattr(model, "settings", None), "context", None)


def device_of(model: object) -> torch.device:
    """Where a model computes."""
    if not isinstance(model, nn.Module):
        return torch.device("cpu")
    return next((tensor.device for tensor in chain(model.parameters(), model.buffers())), torch.device("cpu"))


def _of_tokens(model: LanguageModel, scores: Tensor) -> Tensor:
    # An output matrix that is padded to a round size has rows that are no token.
    return scores[:, -1, : model.tokenizer.vocab_size].cpu()


def _longest(model: LanguageModel, window: Window | None) -> int | None:
    return context_of(model) if window is None else window.length
