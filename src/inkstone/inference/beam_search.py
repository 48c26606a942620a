"""Beam search: the likeliest continuations, as far as looking at a few at a time can find them.

At each step every hypothesis is extended by every token, and the likeliest `beams` extensions go on. A longer text
is always less likely, so finished ones are compared by (Wu et al. 2016, section 7)

    score(Y) = log P(Y) / lp(Y),        lp(Y) = ((5 + |Y|) / 6)^α

With as many beams as there are texts this is exhaustive search.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from inkstone.inference.constrained import Constraint, constrained
from inkstone.inference.fast_decoder import for_generation
from inkstone.inference.prefill import advance, prefill, prompt_ids
from inkstone.inference.sampling import SamplingError
from inkstone.models.base import LanguageModel


@dataclass(frozen=True)
class Hypothesis:
    """A continuation and its worth."""

    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]  # of each token, in nats
    score: float  # log-probability of the whole, divided by the length penalty
    ended: bool  # its last id is an end token; otherwise its tokens were used up


def length_penalty(length: int, alpha: float) -> float:
    """What the log-probability of a text of so many tokens is divided by.

    >>> length_penalty(1, 0.6), length_penalty(7, 1.0)
    (1.0, 2.0)
    """
    return ((5 + length) / 6) ** alpha


@torch.inference_mode()
def beam_search(
    model: LanguageModel,
    prompt: str | Sequence[int],
    beams: int,
    max_tokens: int,
    alpha: float = 0.6,
    no_repeat_ngram: int = 0,
    ends: Collection[int] | None = None,
    constraint: Constraint | None = None,
    repeats_of_prompt: bool = False,
) -> list[Hypothesis]:
    """The `beams` best continuations found (fewer where there are fewer texts), the best first.

    `alpha` is the exponent of the length penalty: 0 compares plain log-probabilities, 1 nearly those per token. With
    `no_repeat_ngram` = n, no n tokens may stand twice in prompt and continuation (Paulus, Xiong & Socher 2018), or with
    `repeats_of_prompt` in the continuation alone, which may then say what the prompt says.
    Ends only when no hypothesis under way could still overtake one of the finished. With a `constraint` continuations have
    its form, as far as their tokens reach; their scores are those of the model.
    """
    if beams < 1 or alpha < 0 or no_repeat_ngram < 0:
        raise SamplingError(
            f"beams = {beams}, length penalty {alpha}, no_repeat_ngram = {no_repeat_ngram}, "
            "but must be at least 1, 0 and 0"
        )
    ends = {model.tokenizer.end} if ends is None else ends
    model = for_generation(model, beams)
    read = torch.tensor([prompt_ids(model, prompt)])
    prompt_length = read.shape[1]
    scores, state = prefill(model, read)
    live = [Hypothesis((), (), 0.0, False)]
    forms = [] if constraint is None else [constraint.begin(model.tokenizer, ends)]
    finished: list[Hypothesis] = []
    for length in range(1, max_tokens + 1):
        if no_repeat_ngram:
            own = read[:, prompt_length:] if repeats_of_prompt else read
            scores = without_repeats(scores, own, no_repeat_ngram)
        if forms:
            scores = constrained(scores, forms)
        totals = torch.tensor([sum(hypothesis.log_probabilities) for hypothesis in live], dtype=torch.float64)
        joint = (totals[:, None] + scores).flatten()
        # Each hypothesis may end in every end token, so this many candidates leave `beams` that go on.
        best = joint.topk(min(beams * (1 + len(ends)), len(joint)))
        parents: list[int] = []
        going: list[Hypothesis] = []
        for rank, (total, place) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            parent, token = divmod(place, scores.shape[1])
            if total == float("-inf") or len(going) == beams:
                break
            grown = Hypothesis(
                (*live[parent].ids, token),
                (*live[parent].log_probabilities, scores[parent, token].item()),
                total / length_penalty(length, alpha),
                token in ends,
            )
            if not grown.ended and length < max_tokens:
                parents.append(parent)
                going.append(grown)
            elif rank < beams:
                finished.append(grown)
        finished = sorted(finished, key=lambda hypothesis: -hypothesis.score)[:beams]
        if not going or (len(finished) == beams and _bound(going, max_tokens, alpha) <= finished[-1].score):
            break
        live = going
        if forms:
            forms = [forms[parent].then(grown.ids[-1]) for parent, grown in zip(parents, going, strict=True)]
        kept = torch.tensor(parents)
        if parents != list(range(len(scores))):
            state = state.select(kept)
        read = torch.cat((read[kept], torch.tensor([[hypothesis.ids[-1]] for hypothesis in live])), dim=1)
        scores, state = advance(model, read, state)
    return finished


def without_repeats(scores: Tensor, read: Int[Tensor, "b t"], n: int) -> Tensor:
    """Scores with −∞ at each token that would complete an n-gram which the row has read before."""
    blocked = scores.clone()
    if read.shape[1] >= n:
        ngrams = read.unfold(1, n, 1)
        last = read[:, None, read.shape[1] - n + 1 :]
        rows, places = (ngrams[..., :-1] == last).all(-1).nonzero(as_tuple=True)
        blocked[rows, ngrams[rows, places, -1]] = float("-inf")
    return blocked


def _bound(live: list[Hypothesis], max_tokens: int, alpha: float) -> float:
    """No continuation of these can score more: log-probabilities only fall, and the penalty is largest at the end."""
    return max(sum(hypothesis.log_probabilities) for hypothesis in live) / length_penalty(max_tokens, alpha)
