"""Learning the weights of a CRF tagger: the penalised likelihood of the whole corpus, climbed by L-BFGS.

    loss(w) = −Σ log p(tags | words; w) + ridge/2 · ‖w‖²

The loss is convex, so there is one best w and no learning rate (Lafferty et al. 2001; Sha and Pereira 2003; L-BFGS: Liu and
Nocedal 1989). The emissions are two sparse products, the weights of a type's features summed for each word type, and the
rows of the types summed for each place; the gradient goes back through the transposes of both.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.layers.crf import Transitions, corpus_likelihood
from inkstone.layers.forward_backward import Packing, pack
from inkstone.models.tag_features import OFFSETS, Bags, FeatureIndex, Places

MEMORY = 6  # steps that L-BFGS remembers
RECENT = 10  # evaluations over which the loss must still fall


class Summation:
    """Sums of the rows of a table, a bag of rows at a time: a product with a sparse matrix of ones."""

    def __init__(self, bags: Bags):
        self.columns, self.begins = torch.from_numpy(bags.columns), torch.from_numpy(bags.begins)

    def __call__(self, table: Float[Tensor, "columns k"]) -> Float[Tensor, "rows k"]:
        """The sums of the rows that each bag names."""
        return F.embedding_bag(self.columns, table, self.begins, mode="sum")


class Corpus:
    """Tagged sentences as sparse matrices, packed by time."""

    packing: Packing
    tags: Int[Tensor, " n"]

    def __init__(self, places: Places, lengths: Sequence[int], tags: Int[Tensor, " n"], index: FeatureIndex):
        self.packing = pack(lengths)
        self.tags = torch.empty_like(tags)
        self.tags[self.packing.place] = tags
        self.n_named, self.n_weights = len(index.names), index.size
        of_types = Bags.of(index.rows_at_offsets(places.types))
        table = atoms(places, index)
        packed = np.empty_like(table)
        packed[self.packing.place.numpy()] = table
        of_places = Bags(packed.ravel(), np.arange(len(packed)) * packed.shape[1])
        self.n_atoms = len(OFFSETS) * len(places.types)
        self.type_sums, self.type_sums_back = Summation(of_types), Summation(of_types.transposed(self.n_named))
        columns = self.n_atoms + self.n_weights - self.n_named + 1
        self.place_sums, self.place_sums_back = Summation(of_places), Summation(of_places.transposed(columns))

    def emissions(self, weights: Float[Tensor, "features k"]) -> Float[Tensor, "n k"]:
        """The score of every tag at every place."""
        named, pairs = weights[: self.n_named], weights[self.n_named :]
        return self.place_sums(torch.cat([self.type_sums(named), pairs, torch.zeros_like(weights[:1])]))

    def gradient(self, emissions: Float[Tensor, "n k"]) -> Float[Tensor, "features k"]:
        """The gradient with respect to the weights, of that with respect to the emissions."""
        back = self.place_sums_back(emissions)
        return torch.cat([self.type_sums_back(back[: self.n_atoms]), back[self.n_atoms : -1]])


def atoms(places: Places, index: FeatureIndex) -> np.ndarray:
    """What is summed at each place, (n, offsets + pairs): its word types, one row for each type and offset, offset by
    offset; then its known pairs; and a last row, of zeros, for each pair that is not known.
    """
    n_types = len(places.types)
    of_types = places.at + np.arange(len(OFFSETS))[:, None] * n_types
    return np.concatenate([of_types.T, len(OFFSETS) * n_types + index.pair_rows(places)], axis=1)


class _Enough(Exception):
    """The loss falls no more, or the time is up."""


def fit(
    corpus: Corpus,
    n_tags: int,
    ridge: float,
    evaluations: int,
    tolerance: float,
    seconds: float | None,
    report: Callable[[str], None],
) -> tuple[Float[Tensor, "features k"], Transitions, float]:
    """Weights and transitions of the lowest penalised loss, and that loss in nats.

    Ends after so many evaluations of the loss, after `seconds`, or when the last ten brought less than `tolerance` of it.
    """
    shapes = ((corpus.n_weights, n_tags), (n_tags,), (n_tags, n_tags), (n_tags,))
    parameters = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    best = [parameter.detach().clone() for parameter in parameters]
    losses: list[float] = []
    begun = time.monotonic()

    @torch.no_grad()
    def evaluate() -> Tensor:
        weights, start, move, end = parameters
        found = corpus_likelihood(corpus.emissions(weights), Transitions(start, move, end), corpus.tags, corpus.packing)
        t = found.transitions
        for parameter, gradient in zip(
            parameters, (corpus.gradient(found.emissions), t.start, t.move, t.end), strict=True
        ):
            parameter.grad = gradient.add_(parameter, alpha=ridge)
        loss = found.nats + 0.5 * ridge * sum(float(parameter.double().square().sum()) for parameter in parameters)
        if not losses or loss < min(losses):
            for kept, parameter in zip(best, parameters, strict=True):
                kept.copy_(parameter)
        losses.append(loss)
        report(f"evaluation {len(losses)}, {found.nats / len(corpus.tags):.4f} nats per word")
        slow = len(losses) > RECENT and min(losses[:-RECENT]) - min(losses) < tolerance * min(losses)
        if len(losses) >= evaluations or slow or (seconds is not None and time.monotonic() - begun > seconds):
            raise _Enough
        return torch.tensor(loss, dtype=torch.float64)

    optimiser = torch.optim.LBFGS(
        parameters,
        max_iter=evaluations,
        max_eval=evaluations,
        history_size=MEMORY,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    with suppress(_Enough):
        optimiser.step(evaluate)
    weights, start, move, end = best
    return weights, Transitions(start, move, end), min(losses)
