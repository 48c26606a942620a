"""When each token of a text is spoken: the likeliest path of CTC that spells the text (forced alignment, by Viterbi).

With the tokens laid out as blank y₁ blank y₂ … y_u blank, the best path to place s at frame t comes from s or s − 1, or, where s is a
token that differs from the one before it, from s − 2:

    δ_t(s) = log p_t(place s) + max(δ_{t−1}(s), δ_{t−1}(s − 1), δ_{t−1}(s − 2))

Source: Graves et al. 2006, section 4.1, with the maximum in place of the sum.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int


def align(
    log_probabilities: Float[np.ndarray, "t v"], ids: Sequence[int], blank: int
) -> tuple[Int[np.ndarray, "u 2"], float] | None:
    """The first frame of each token and the one after its last, and log p of the best path; None where no path spells them."""
    frames, tokens = len(log_probabilities), len(ids)
    places = np.full(2 * tokens + 1, blank)
    places[1::2] = ids
    skips = np.zeros(len(places), dtype=bool)
    skips[3::2] = places[3::2] != places[1:-2:2]
    best = np.full(len(places), -np.inf)
    best[0] = 0.0  # as if the frame before the first were blank
    from_where = np.zeros((frames, len(places)), dtype=np.int8)
    for t in range(frames):
        options = np.full((3, len(places)), -np.inf)
        options[0] = best
        options[1, 1:] = best[:-1]
        options[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        from_where[t] = options.argmax(axis=0)
        best = options.max(axis=0) + log_probabilities[t, places]
    at = len(places) - 1
    if tokens and best[at - 1] > best[at]:
        at -= 1
    if not np.isfinite(best[at]):
        return None
    spans, total = np.zeros((tokens, 2), dtype=np.int64), float(best[at])
    for t in range(frames - 1, -1, -1):
        if at % 2:
            spans[at // 2] = (t, spans[at // 2, 1] or t + 1)
        at -= int(from_where[t, at])  # a number of its own short type would overflow beyond place 127
    return spans, total
