"""Reading a prompt into a model's state, and going on from it token by token, past the end of its context too."""

from collections.abc import Sequence
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from inkstone.errors import RunError
from inkstone.models.base import CarriesState, LanguageModel, State


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


def prefill(model: LanguageModel, read: Int[Tensor, "b t"]) -> tuple[Float[Tensor, "b v"], State]:
    """Log-probabilities of the next token after texts of equal length, and the state that has read them.

    Of texts longer than the model's context only the last half of a context is read.
    """
    context = context_of(model)
    if context is not None and read.shape[1] > context:
        read = read[:, -max(1, context // 2) :]
    scores, state = model.step(read.to(device_of(model)), model.start(read.shape[0]), last=True)
    return _of_tokens(model, scores), state


def advance(model: LanguageModel, read: Int[Tensor, "b t"], state: State) -> tuple[Float[Tensor, "b v"], State]:
    """Read the last token of each row. A state that is full is made anew from the last half of a context.

    Half, because then it happens once in so many tokens, and every token still sees half a context or more.
    """
    context = context_of(model)
    if context is not None and state.length >= context:
        return prefill(model, read[:, -max(1, context // 2) :])
    scores, state = model.step(read[:, -1:].to(device_of(model)), state, last=True)
    return _of_tokens(model, scores), state


def context_of(model: LanguageModel) -> int | None:
    """Tokens that a model was trained to take account of at once; None for one without such a bound."""
    if isinstance(model, CarriesState):
        return None
    return getattr(getattr(model, "settings", None), "context", None)


def device_of(model: LanguageModel) -> torch.device:
    """Where a model computes."""
    if not isinstance(model, nn.Module):
        return torch.device("cpu")
    return next((tensor.device for tensor in chain(model.parameters(), model.buffers())), torch.device("cpu"))


def _of_tokens(model: LanguageModel, scores: Tensor) -> Tensor:
    # An output matrix that is padded to a round size has rows that are no token.
    return scores[:, -1, : model.tokenizer.vocab_size].cpu()
