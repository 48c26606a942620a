"""The pool of two models: by its formula, against a search by hand, and what it is for."""

import numpy as np
import pytest

from inkstone.evaluation.calibration import mean_loss, tempered
from inkstone.evaluation.opinion_pool import fit_share, fit_share_of_several, pooled

N = 3000


def two_views(seed: int = 0, labels: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of two models that see the truth through noise of their own, and the truth."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(labels, size=N)
    signal = np.eye(labels)[gold]
    return 1.5 * signal + draw.normal(size=signal.shape), 1.5 * signal + draw.normal(size=signal.shape), gold


def test_the_pool_multiplies_probabilities():
    first, second = np.array([[0.7, 0.2, 0.1]]), np.array([[0.1, 0.6, 0.3]])
    product = first**0.75 * second**0.25
    np.testing.assert_allclose(tempered(pooled(np.log(first), np.log(second), 0.25)), product / product.sum())
    shifted = pooled(np.log(first) + 5, np.log(second), 0.25)  # logits are as good as logarithms
    np.testing.assert_allclose(tempered(shifted), product / product.sum())


def test_equally_good_models_share_equally_and_are_better_together():
    first, second, gold = two_views()
    share = fit_share(first, second, gold)
    assert share == pytest.approx(0.5, abs=0.1)
    right = [(logits.argmax(1) == gold).mean() for logits in (first, second, pooled(first, second, share))]
    assert right[2] > max(right[:2]) + 0.03


def test_a_model_that_knows_nothing_gets_no_share():
    first, _, gold = two_views()
    nothing = np.zeros_like(first)
    assert fit_share(first, nothing, gold) == 0.0
    noise = np.random.default_rng(9).normal(size=first.shape)
    assert fit_share(first, noise, gold) <= 0.05 and fit_share(noise, first, gold) >= 0.95


def test_how_sure_a_model_is_does_not_decide_what_the_pool_is_worth():
    """A model whose logits are three times too large needs a smaller share; with its temperature the pool is as good."""
    first, second, gold = two_views()
    bold = fit_share(first, 3 * second, gold)
    assert bold < fit_share(first, second, gold)
    losses = [
        min(
            mean_loss(tempered(pooled(first, other, share), temperature), gold)
            for temperature in np.geomspace(0.2, 5, 60)
        )
        for other, share in ((second, fit_share(first, second, gold)), (3 * second, bold))
    ]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


def test_the_share_of_several_labels_is_where_they_are_likeliest():
    draw = np.random.default_rng(1)
    gold = (draw.random((N, 4)) < 0.3).astype(float)
    first, second = (3 * (gold - 0.4) + scale * draw.normal(size=gold.shape) for scale in (1.0, 1.5))

    def loss(share: float) -> float:
        p = 1 / (1 + np.exp(-((1 - share) * first + share * second)))
        return float(-(gold * np.log(p) + (1 - gold) * np.log(1 - p)).sum(1).mean())

    share = fit_share_of_several(first, second, gold)
    assert 0 < share < 0.5 and loss(share) == pytest.approx(min(loss(each) for each in np.linspace(0, 1, 21)))
