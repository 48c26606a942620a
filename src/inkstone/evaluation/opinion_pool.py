"""Two models asked at once: their probabilities multiplied, each raised to its share, and brought to the sum one again.

    p(label) ∝ p₁(label)^(1 − s) · p₂(label)^s                        one label
    p(label) = σ((1 − s) logit p₁ + s logit p₂)                       each of several labels

That is the logarithmic opinion pool. Its loss is at most the mean of the two losses weighted so, and falls below both where the
models err on different texts. The share is one number, found on development data.

Sources: Genest and Zidek 1986; Heskes 1998 (the loss of the pool).
"""

import numpy as np
from jaxtyping import Float, Int

from inkstone.evaluation.calibration import fit_temperature, mean_loss, tempered

STEPS = 20  # shares that are tried, beside 0


def pooled(first: Float[np.ndarray, "n k"], second: Float[np.ndarray, "n k"], share: float) -> Float[np.ndarray, "n k"]:
    """The logits of the pool; of one label the logarithms of probabilities are logits, too."""
    return (1 - share) * np.asarray(first, np.float64) + share * np.asarray(second, np.float64)


def fit_share(first: Float[np.ndarray, "n k"], second: Float[np.ndarray, "n k"], gold: Int[np.ndarray, " n"]) -> float:
    """The share of the second model under which the gold labels are likeliest, a temperature being fitted with it.

    The smallest such share of 0, 0.05, …, 1: a model that adds nothing gets none. It is a share of logits: a model that is
    surer than another counts for more at the same share. Fit it on development data.
    """
    shares = np.linspace(0, 1, STEPS + 1)
    losses = []
    for share in shares:
        logits = pooled(first, second, share)
        losses.append(mean_loss(tempered(logits, fit_temperature(logits, gold)), gold))
    return float(shares[int(np.argmin(losses))])


def fit_share_of_several(
    first: Float[np.ndarray, "n k"], second: Float[np.ndarray, "n k"], gold: Float[np.ndarray, "n k"]
) -> float:
    """The same where a text may have several labels: `gold` is 1 where it has one. There is no temperature."""
    shares = np.linspace(0, 1, STEPS + 1)
    losses = [
        float((np.logaddexp(0, logits) - gold * logits).sum(1).mean())
        for logits in (pooled(first, second, share) for share in shares)
    ]
    return float(shares[int(np.argmin(losses))])
