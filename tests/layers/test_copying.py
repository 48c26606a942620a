"""Copying: the probabilities of the formula, summed place by place; padding gives nothing; gradients by finite differences."""

import math

import pytest
import torch

from inkstone.layers.copying import FOLLOWS, NOTHING, Copied, Copying, with_copies

V, WIDTH = 7, 4


def layer(seed: int = 0) -> Copying:
    generator = torch.Generator().manual_seed(seed)
    made = Copying(WIDTH).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    return made


def some(seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    logits, states = (torch.randn(2, 3, n, generator=generator, dtype=torch.float64) for n in (V, WIDTH))
    source = torch.randn(2, 5, WIDTH, generator=generator, dtype=torch.float64)
    tokens, read = torch.tensor([[1, 2, 1, 6, 2], [0, 0, 3, 4, 5]]), torch.tensor([[1, 2, 0], [0, 3, 6]])
    return logits, states, read, source, tokens


@torch.no_grad()
def test_each_place_of_the_source_adds_to_the_probability_of_its_token():
    made, (logits, states, read, source, tokens) = layer(), some()
    found = made(logits, states, read, made.remember(source, tokens)).softmax(-1)
    for row in range(2):
        for at in range(3):
            shares = logits[row, at].exp().tolist()
            for place in range(5):
                q, k = made.query(states[row, at]), made.key(source[row, place])
                score = float(q @ k) / math.sqrt(WIDTH) + float(made.start)
                if place and tokens[row, place - 1] == read[row, at]:
                    score += float(made.follows)
                shares[tokens[row, place]] += math.exp(score)
            expected = torch.tensor(shares) / sum(shares)
            assert torch.allclose(found[row, at].float(), expected, atol=1e-6)


def test_what_cannot_be_seen_is_not_copied():
    made, (logits, states, read, source, tokens) = layer(), some()
    visible = (torch.arange(5) < 3).expand(2, 3, 5)
    padded = made(logits, states, read, made.remember(source, tokens), visible)
    short = made(logits, states, read, made.remember(source[:, :3], tokens[:, :3]))
    assert torch.allclose(padded, short, atol=1e-6)
    none = made(logits, states, read, made.remember(source, tokens), torch.zeros(2, 3, 5, dtype=torch.bool))
    assert torch.allclose(none, logits.float(), atol=1e-6)


def test_rows_are_selected_together():
    made, (_, _, _, source, tokens) = layer(), some()
    copied = made.remember(source, tokens)
    assert copied.before.tolist()[0] == [NOTHING, 1, 2, 1, 6]
    turned = copied.select(torch.tensor([1, 0, 1]))
    assert isinstance(turned, Copied) and turned.tokens.tolist() == tokens[[1, 0, 1]].tolist()
    assert torch.equal(turned.keys, copied.keys[[1, 0, 1]])


def test_gradients_are_those_of_finite_differences():
    logits, scores = (
        torch.randn(1, 2, V, generator=torch.Generator().manual_seed(0)),
        torch.tensor([[[0.3, -1.0, 2.0]] * 2]),
    )
    tokens = torch.tensor([[1, 1, 4]])
    logits.requires_grad_(True)
    scores.requires_grad_(True)
    weights = torch.randn(1, 2, V, generator=torch.Generator().manual_seed(1))

    def worth(z, s):
        return (with_copies(z, s, tokens).log_softmax(-1) * weights).sum()

    worth(logits, scores).backward()
    for given, own in ((logits, lambda x: worth(x, scores)), (scores, lambda x: worth(logits, x))):
        for place in ((0, 0, 1), (0, 1, 2)):
            with torch.no_grad():
                step = torch.zeros_like(given)
                step[place] = 1e-2
                slope = float(own(given + step) - own(given - step)) / 2e-2
            assert float(given.grad[place]) == pytest.approx(slope, abs=2e-3)


def test_it_begins_with_both_ways_likely():
    made = Copying(WIDTH)
    made.begin(5000)
    assert float(made.follows) == FOLLOWS and 100 * math.exp(float(made.start)) == pytest.approx(5000)
