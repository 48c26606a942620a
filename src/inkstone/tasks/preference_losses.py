"""What a model loses by a pair of answers y₊ and y₋ to a question, of which y₊ was preferred.

    DPO    −log σ(β h)                                              Rafailov et al. 2023, equation 7
    IPO    (h − 1/(2β))²                                            Azar et al. 2023, equation 17
    ORPO   −(1/|y₊|) log π(y₊) + β · (−log σ(log odds(y₊)/odds(y₋)))    Hong et al. 2024, equations 6 and 7

    h = log π(y₊)/ρ(y₊) − log π(y₋)/ρ(y₋),      odds(y) = P/(1 − P),  P = π(y)^(1/|y|)

π is the model, ρ the model as it began, |y| tokens. What β log π(y)/ρ(y) comes to is the reward that the model gives an answer: DPO makes
that of the preferred one larger, IPO stops where the difference h is 1/(2β), ORPO needs no ρ and learns to answer at the same time.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Objective = Literal["dpo", "ipo", "orpo"]


def pair_losses(
    objective: Objective,
    beta: float,
    model: Float[Tensor, "n 2"],
    reference: Float[Tensor, "n 2"] | None,
    tokens: Float[Tensor, "n 2"],
) -> Float[Tensor, " n"]:
    """The loss of each pair. `model` and `reference`: log-probabilities of the preferred answer and of the other; `tokens` of each.

    Only ORPO does without `reference`.
    """
    if objective == "orpo":
        mean = model / tokens
        odds = mean - log_of_rest(mean)
        return -mean[:, 0] - beta * F.logsigmoid(odds[:, 0] - odds[:, 1])
    assert reference is not None
    gained = model - reference
    h = gained[:, 0] - gained[:, 1]
    return -F.logsigmoid(beta * h) if objective == "dpo" else (h - 1 / (2 * beta)).square()


def log_of_rest(log_chance: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """log(1 − eˣ) of x < 0, right near 0 as far below it (Mächler 2012)."""
    x = log_chance.clamp(max=-1e-6)
    near = x > -math.log(2)
    # Each branch is given what it can take, so that the one that is not chosen has no gradient that is no number.
    close = torch.log(-torch.expm1(torch.where(near, x, -math.log(2))))
    far = torch.log1p(-torch.exp(torch.where(near, -math.log(2), x)))
    return torch.where(near, close, far)
