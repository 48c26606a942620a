"""Each filter against the one of `transformers`, and the draw against the distribution."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from inkstone.inference.sampling import (
    Sampling,
    SamplingError,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
)


def scores_of(seed: int, rows: int = 4, vocabulary: int = 1000, scale: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(rows, vocabulary, generator=generator)).log_softmax(-1)


@pytest.fixture(scope="module")
def peer():
    return pytest.importorskip("transformers.generation.logits_process")


@pytest.mark.parametrize("k", [1, 5, 999, 1000, 5000])
def test_top_k_is_that_of_transformers(peer, k):
    scores = scores_of(0)
    assert torch.equal(keep_top_k(scores, k), peer.TopKLogitsWarper(k)(None, scores))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_top_p_is_that_of_transformers(peer, p, scale):
    # Flat and steep rows: the nucleus lies inside the first guess or needs all tokens.
    scores = scores_of(1, scale=scale)
    ours, theirs = keep_top_p(scores, p), peer.TopPLogitsWarper(p)(None, scores)
    kept, kept_by_peer = ours.isfinite().sum(-1), theirs.isfinite().sum(-1)
    # The peer sums single precision from the small end, so its border may lie one token off.
    assert ((kept - kept_by_peer).abs() <= 1).all()
    both = ours.isfinite() & theirs.isfinite()
    assert torch.equal(ours[both], scores[both])
    assert ((ours.isfinite() == theirs.isfinite()).float().mean()) > 0.998


@given(st.integers(0, 10_000), st.floats(0.001, 0.999))
@settings(deadline=None, max_examples=50)
def test_the_nucleus_is_the_smallest_set_that_reaches_p(seed, p):
    scores = scores_of(seed, rows=2, vocabulary=300, scale=1.5)
    for row, kept in zip(scores.double().exp(), keep_top_p(scores, p).isfinite(), strict=True):
        mass = row[kept].sum().item()
        assert mass >= p - 1e-6
        assert mass - row[kept].min().item() < p + 1e-6
        assert kept.all() or row[kept].min() >= row[~kept].max()


@pytest.mark.parametrize("p", [0.01, 0.2, 1.0])
def test_min_p_is_that_of_transformers(peer, p):
    scores = scores_of(2)
    assert torch.equal(keep_min_p(scores, p), peer.MinPLogitsWarper(p)(None, scores))


@pytest.mark.parametrize("penalty", [0.7, 1.3])
def test_repetition_penalty_is_that_of_transformers(peer, penalty):
    scores = scores_of(3)
    scores[:, :500] += 9  # positive scores too, as logits have them
    read = torch.randint(0, 1000, (4, 30), generator=torch.Generator().manual_seed(0))
    expected = peer.RepetitionPenaltyLogitsProcessor(penalty)(read, scores)
    torch.testing.assert_close(penalise_repetition(scores, read, penalty), expected)


@pytest.mark.parametrize("penalty", [1e-310, torch.tensor([1e-310])])
def test_a_penalty_as_good_as_nothing_makes_no_numbers_that_are_none(penalty):
    scores = torch.tensor([[-torch.inf, 0.0, -2.0]])
    expected = torch.tensor([[-torch.inf, 0.0, 0.0]])
    torch.testing.assert_close(penalise_repetition(scores, torch.tensor([[0, 1, 2]]), penalty), expected)


@pytest.mark.parametrize("presence, frequency", [(0.5, 0.0), (0.0, 1.25), (-0.5, 0.3)])
def test_penalties_of_what_was_written_are_those_of_the_api_counted_one_by_one(presence, frequency):
    scores = scores_of(8, rows=2, vocabulary=6)
    read = torch.tensor([[5, 1, 1, 4], [0, 2, 3, 2]])
    expected = scores.clone()
    for row, ids in enumerate(read[:, 1:].tolist()):  # the first token is the prompt's
        for number in set(ids):
            expected[row, number] -= presence + frequency * ids.count(number)
    sampling = Sampling(temperature=0.0, min_p=0.0, presence_penalty=presence, frequency_penalty=frequency)
    torch.testing.assert_close(sampling.warp(scores, read, prompt=1), expected)


def test_the_filters_act_in_the_order_of_transformers(peer):
    scores, read = scores_of(4), torch.randint(0, 1000, (4, 30), generator=torch.Generator().manual_seed(0))
    expected = scores
    for warper in (
        peer.RepetitionPenaltyLogitsProcessor(1.2),
        peer.TemperatureLogitsWarper(0.7),
        peer.TopKLogitsWarper(200),
        peer.TopPLogitsWarper(0.9),
        peer.MinPLogitsWarper(0.01),
    ):
        expected = warper(read, expected)
    sampling = Sampling(temperature=0.7, top_k=200, top_p=0.9, min_p=0.01, repetition_penalty=1.2)
    torch.testing.assert_close(sampling.warp(scores, read), expected)


def test_draws_have_the_frequencies_of_the_distribution():
    scores = scores_of(5, rows=1, vocabulary=12, scale=1.0)
    draws = 40_000
    uniform = torch.rand(draws, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = draw(scores.expand(draws, -1), uniform).bincount(minlength=12).double()
    expected = scores[0].double().exp() * draws
    chi_square = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_square < 31.26  # the 99.9 % quantile at 11 degrees of freedom


@pytest.mark.parametrize("u", [0.0, 0.25, 0.999999, 1 - 2**-53])
def test_what_was_filtered_out_is_never_drawn(u):
    scores = keep_top_k(scores_of(6, rows=50, vocabulary=1000, scale=20.0), 3)
    chosen = draw(scores, torch.full((50,), u, dtype=torch.float64))
    assert scores.gather(1, chosen[:, None]).isfinite().all()


def test_temperature_zero_is_the_likeliest_token():
    scores = scores_of(7)
    sampling = Sampling(temperature=0, top_k=1)
    assert torch.equal(
        sampling.draw(sampling.warp(scores, torch.zeros(4, 1, dtype=torch.long)), torch.zeros(4)), scores.argmax(-1)
    )


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 5e-324])
def test_the_least_temperature_draws_the_likeliest_token(temperature):
    scores = scores_of(9) - 5.0
    sampling = Sampling(temperature=temperature, top_p=0.9)
    drawn = sampling.draw(sampling.warp(scores, torch.zeros(4, 1, dtype=torch.long)), torch.full((4,), 0.999))
    assert torch.equal(drawn, scores.argmax(-1))


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 1.5},
        {"repetition_penalty": 0.0},
        {"presence_penalty": math.nan},
        {"frequency_penalty": math.inf},
        {"max_tokens": 0},
        {"max_length": 0},
        {"seed": -1},
        {"stop": ("",)},
        {"stop": "end"},
    ],
)
def test_values_that_mean_nothing_are_refused_by_name(setting):
    name = next(iter(setting))
    with pytest.raises(SamplingError, match=f"^{name} = "):
        Sampling(**setting)
