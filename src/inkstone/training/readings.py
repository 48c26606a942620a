"""How often a text is worth reading: a run that has more time than its text has to say ends sooner."""

import math

from torch import nn

from inkstone.models.base import OwnLoss

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


def weights_that_repeat(model: nn.Module) -> int | None:
    """The weights that learn the same of a text each time they read it; None for a model with a loss of its own, which takes something else."""
    if isinstance(model, OwnLoss):
        return None
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def most_steps(weights: int, tokens: int, tokens_a_step: float) -> int:
    """Steps after which more of a text would only be learned by heart; `tokens_a_step`: those of that text in a step."""
    return max(1, round(readings_for(weights, tokens) * tokens / max(tokens_a_step, 1.0)))
