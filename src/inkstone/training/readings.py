"""How often a text is worth reading: a run that has more time than its text has to say ends sooner."""

import math

FEWEST, MOST = 6.0, 64.0  # readings that any text is worth
AT_TEN = 8.0  # readings by a model with ten weights for each token of the text


def readings_for(weights: int, tokens: int) -> float:
    """Readings of a text of so many tokens after which a model of so many weights would only learn it by heart.

    On texts of 0.7, 1.5 and 1.8 million tokens, whose models had ten to thirteen weights a token, held-out text cost least after
    seven to eight readings, and more with every further one (to 3.8 bits per byte from 2.9, after thirty). Smaller models may read
    oftener: by the root of their size, which was not measured.

    >>> [round(readings_for(weights, 1_000_000), 1) for weights in (12_000_000, 2_500_000, 10_000)]
    [7.3, 16.0, 64.0]
    """
    return min(MOST, max(FEWEST, AT_TEN * math.sqrt(10 * max(1, tokens) / max(1, weights))))
