"""How much held-out text can be scored in the time of reading so many tokens: families differ by a factor of hundreds."""

from typing import Any

LEAST_TOKENS = 20_000  # of the final score, where a token costs the reading of one
LEAST_ASKED = 256  # tokens, where each costs a pass over the text around it


def affordable(model: Any, reading: float, n_tokens: int, least: int = LEAST_TOKENS) -> dict[str, Any]:
    """`share` and `most` for `likelihood.score` of text of `n_tokens` tokens, so that about `reading` tokens are read.

    A model says in `tokens_read_for_each` what one scored token costs (1 where it says nothing). Where that is a pass of its own for
    each token (`asks_for_tokens`), a sample of tokens speaks for the text; elsewhere a part of the text does.
    """
    cost = getattr(model, "tokens_read_for_each", 1)
    if getattr(model, "asks_for_tokens", False):
        return {"share": min(1.0, max(reading, least) / n_tokens), "most": max(LEAST_ASKED, int(reading / cost))}
    return {"share": min(1.0, max(reading / cost, least / cost**0.5) / n_tokens), "most": None}
