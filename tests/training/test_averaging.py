"""The average of the weights against a plain loop over all of them."""

import torch

from inkstone.training.averaging import WeightAverage


def steps(n: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [{"a": torch.randn(3, 4, generator=generator), "b": torch.randn(5, generator=generator)} for _ in range(n)]


def test_equals_the_weighted_mean_of_all_steps():
    decay, history = 0.9, steps(20)
    average = WeightAverage(history[0], decay)
    for weights in history:
        average.add(weights)
    found = {name: torch.empty_like(weight) for name, weight in history[0].items()}
    average.give(found)
    shares = torch.tensor([decay ** (len(history) - 1 - i) for i in range(len(history))])
    shares /= shares.sum()
    for name in found:
        expected = sum(share * weights[name] for share, weights in zip(shares, history, strict=True))
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-5)


def test_after_one_step_it_is_that_step():
    (weights,) = steps(1)
    average = WeightAverage(weights, 0.999)
    average.add(weights)
    found = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    average.give(found)
    for name in found:
        torch.testing.assert_close(found[name], weights[name])


def test_without_a_step_the_weights_stay():
    (weights,) = steps(1)
    found = {name: weight.clone() for name, weight in weights.items()}
    WeightAverage(weights, 0.9).give(found)
    assert all(torch.equal(found[name], weights[name]) for name in found)


def test_goes_on_bit_for_bit_from_what_was_saved():
    history = steps(10)
    unbroken, broken = WeightAverage(history[0], 0.8), WeightAverage(history[0], 0.8)
    for weights in history[:5]:
        unbroken.add(weights)
        broken.add(weights)
    resumed = WeightAverage(history[0], 0.8)
    resumed.load({name: tensor.clone() for name, tensor in broken.tensors.items()})
    for weights in history[5:]:
        unbroken.add(weights)
        resumed.add(weights)
    for name, tensor in unbroken.tensors.items():
        assert torch.equal(tensor, resumed.tensors[name])
