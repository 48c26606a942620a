"""Weights that begin at the text's bigram statistics instead of at chance.

The first minutes of training go into what could be counted in a second: how often each token follows each other one.
Blocks begin as the identity, so a fresh decoder predicts from the last token alone, with logits O · norm(E[x]). Here E
and O are chosen so that these logits approximate the smoothed log-probabilities of the bigrams,

    L[x, y] = log (c(x, y) + κ p(y)) / (c(x) + κ),

E from the leading singular vectors of L, each entry weighted by √(p(x) p(y)), and O by least squares given E, rows
weighted by p(x). (Word vectors are factors of such a matrix of counts too: Levy & Goldberg 2014.) κ is the one under
which each bigram is likeliest when it is left out of the counts (Ney, Essen & Kneser 1994), since what a count says of
the text that it was taken from, it does not say of other text. The output matrix then differs from the embedding, so
this is for untied models of a small vocabulary.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.models.decoder import Decoder
from inkstone.tokens.shards import TokenShards

LARGEST_VOCABULARY = 8192  # the table of counts has its square of entries
MOST_TOKENS = 8_000_000  # counted; more change little
SMOOTHINGS = (3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 200.0, 400.0)  # κ, in pseudo-counts of a row


def bigram_counts(shards: TokenShards, vocab_size: int, most: int = MOST_TOKENS) -> Float[Tensor, "v v"]:
    """How often token y (column) follows token x (row) in the first `most` tokens."""
    counts = np.zeros(vocab_size * vocab_size, dtype=np.float32)
    stop = min(shards.n_tokens, most)
    for begin in range(0, stop - 1, 1 << 20):
        ids = shards.read(begin, min(begin + (1 << 20) + 1, stop)).astype(np.int64)
        pairs, found = np.unique(ids[:-1] * vocab_size + ids[1:], return_counts=True)
        counts[pairs] += found
    return torch.from_numpy(counts.reshape(vocab_size, vocab_size))


def best_smoothing(counts: Float[Tensor, "v v"]) -> float:
    """The κ of SMOOTHINGS with the largest leave-one-out likelihood: Σ c log (c − 1 + κ p(y)) / (c(x) − 1 + κ)."""
    x, y = counts.nonzero(as_tuple=True)
    found, rows, p_next = counts[x, y], counts.sum(1), counts.sum(0) / counts.sum()

    def likelihood(smoothing: float) -> float:
        left_out = (found - 1 + smoothing * p_next[y]) / (rows[x] - 1 + smoothing)
        return float((found * left_out.log()).sum(dtype=torch.float64))

    return max(SMOOTHINGS, key=likelihood)


@torch.no_grad()
def start_from_bigrams(model: Decoder, counts: Float[Tensor, "v v"]) -> None:
    """Set the embedding and the output matrix of a fresh, untied decoder from counts."""
    assert model.head is not None, "a tied model has no output matrix of its own"
    smoothing = best_smoothing(counts)
    width, eps = model.settings.width, model.settings.norm_eps
    rows = counts.sum(1, keepdim=True)
    p_next = counts.sum(0) + 0.5
    p_next = p_next / p_next.sum()
    p_last = rows[:, 0] + 0.5
    p_last = (p_last / p_last.sum())[:, None]
    logits = torch.log((counts + smoothing * p_next) / (rows + smoothing))
    logits -= logits @ p_next[:, None]  # a constant along a row changes no probability
    weighted = logits * (p_last * p_next).sqrt()
    rank = min(width, len(counts))
    with torch.random.fork_rng(devices=[]):  # the projection is random; the run's own draws are not to be touched
        torch.manual_seed(0)
        left, values, _ = torch.svd_lowrank(weighted, q=min(rank + 8, len(counts)), niter=3)
    states = torch.zeros(len(counts), width)
    states[:, :rank] = (left * values)[:, :rank] / p_last.sqrt()
    states *= torch.rsqrt(states.square().mean(-1, keepdim=True) + eps)
    gram = states.T @ (states * p_last)
    gram += 1e-3 * gram.diagonal().mean() * torch.eye(width)
    model.embedding.weight.copy_(states)
    model.head.weight.copy_(torch.linalg.solve(gram, (states * p_last).T @ logits).T)
