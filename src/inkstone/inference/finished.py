"""The best finished texts of each source of a batch, held as tensors while others are still being written."""

from collections.abc import Collection

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.inference.beam_search import Hypothesis

NEVER = float("-inf")
NOTHING = -1  # in place of ids, after the end of a text


class Finished:
    """For each source at most `beams` texts of at most `longest` tokens, sorted, the best first."""

    def __init__(self, sources: int, beams: int, longest: int, device: torch.device):
        self.scores = torch.full((sources, beams), NEVER, dtype=torch.float64, device=device)  # −∞: no text yet
        self.ids = torch.full((sources, beams, longest), NOTHING, device=device)
        self.log_probabilities = torch.zeros(sources, beams, longest, device=device)

    @property
    def worst(self) -> Float[Tensor, " sources"]:
        """The score that a text needs to exceed, so as to be kept; −∞ where there is room."""
        return self.scores[:, -1]

    def add(
        self,
        sources: Int[Tensor, " b"],
        scores: Float[Tensor, "b n"],
        ids: Int[Tensor, "b n t"],
        log_probabilities: Float[Tensor, "b n t"],
    ) -> None:
        """Keep the best of what there is and these texts of `t` tokens; a score of −∞ is none. Of equals the first stays."""
        beams, t = self.scores.shape[1], ids.shape[2]
        joined = torch.cat((self.scores[sources], scores), dim=1)
        ranked = joined.sort(dim=1, descending=True, stable=True)
        order = ranked.indices[:, :beams]
        self.scores[sources] = ranked.values[:, :beams]
        for kept, new in ((self.ids, ids), (self.log_probabilities, log_probabilities)):
            fill = NOTHING if kept is self.ids else 0
            padded = torch.nn.functional.pad(new, (0, kept.shape[2] - t), value=fill)
            kept[sources] = of_parents(torch.cat((kept[sources], padded), dim=1), order)

    def hypotheses(self, ends: Collection[int]) -> list[list[Hypothesis]]:
        """Those of each source, the best first."""
        lengths, found = (self.ids != NOTHING).sum(-1).tolist(), []
        rows = zip(self.scores.tolist(), self.ids.tolist(), self.log_probabilities.tolist(), lengths, strict=True)
        for texts in rows:
            found.append(
                [
                    Hypothesis(tuple(ids[:length]), tuple(gains[:length]), score, ids[length - 1] in ends)
                    for score, ids, gains, length in zip(*texts, strict=True)
                    if score > NEVER
                ]
            )
        return found


def of_parents(values: Tensor, parents: Int[Tensor, "b n"], new: Tensor | None = None) -> Tensor:
    """Of values (b, k, t) those of the parents, (b, n, t); with `new` (b, n) after them, (b, n, t+1).

    >>> of_parents(torch.tensor([[[1, 2], [3, 4]]]), torch.tensor([[1, 1]]), torch.tensor([[5, 6]]))
    tensor([[[3, 4, 5],
             [3, 4, 6]]])
    """
    taken = values.gather(1, parents[..., None].expand(-1, -1, values.shape[2]))
    return taken if new is None else torch.cat((taken, new[..., None]), dim=2)
