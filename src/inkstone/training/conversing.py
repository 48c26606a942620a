"""What a body needs to converse: a decoder with rows for the tokens of its template, and a context that holds conversations."""

from collections.abc import Sequence
from typing import Any

from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.models.resized_decoder import resized
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.planner import Choice

MOST_TOKENS = 2048  # of a conversation, where the recipe does not ask for more
LEAST_TOKENS = 512  # that any model may be taught to read at once, whose positions are turned and not learned


def longest_conversation(known: int | Any) -> int:
    """Tokens of the longest conversation that a body of these settings is tuned on; of one from the start, as given.

    >>> longest_conversation(512)
    512
    """
    if not isinstance(known, DecoderSettings):
        return known if isinstance(known, int) else getattr(known, "context", LEAST_TOKENS)
    return (
        min(known.context, MOST_TOKENS)
        if known.layout == "gpt2"
        else min(max(known.context, LEAST_TOKENS), MOST_TOKENS)
    )


def made_to_converse(
    body: Any, tokenizer: Tokenizer, context: int, unlearned: Sequence[int], fresh: bool
) -> tuple[Any, list[Choice]]:
    """The body with rows for all tokens and at least such a context, and the choices in words.

    `unlearned` ids have learned nothing yet. A body that is no decoder stays as it is: what it is asked for refuses it.
    """
    if not isinstance(body, Decoder):
        return body, []
    if fresh:
        why = "nothing else was read before; a model that was trained on text first answers better: --from RUN"
        return body, [Choice("beginning", "from the conversations alone", why)]
    before, choices = body.settings, []
    if unlearned or tokenizer.vocab_size > before.vocab_size or context > before.context:
        body = resized(body, tokenizer, max(context, before.context), unlearned)
    if unlearned:
        told = ", ".join(str(tokenizer.backend.id_to_token(number)) for number in unlearned)
        choices.append(Choice("fresh tokens", told, "they begin at the mean of the others"))
    if body.settings.context > before.context:
        why = f"conversations are longer than the {before.context:,} tokens it was trained on"
        choices.append(Choice("longest text", body.settings.context, why))
    return body, choices
