"""Many texts from many sources at once: greedy and beam search by an encoder-decoder.

Sources of like length are read together. The hypotheses of one source are a tree, whose nodes are the tokens of all of
them: a step reads one node a hypothesis, which sees the nodes that it goes on from, and the source. So what hypotheses
have in common is kept once, nothing is copied where one takes the place of another, and nodes that none goes on from are
dropped now and then.

Which hypotheses go on, which are finished, and when a source is, are as in `beam_search`: the same texts with the same
scores, whatever else is in the batch, up to rounding. A source that is finished leaves the batch.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.errors import InkstoneError
from inkstone.inference.beam_search import Hypothesis, length_penalty, without_repeats
from inkstone.inference.constrained import Constraint, OfWritten
from inkstone.inference.finished import NEVER, Finished, of_parents
from inkstone.inference.packed import Writer, for_writing
from inkstone.inference.sampling import SamplingError
from inkstone.layers.kv_cache import KeyValueCache
from inkstone.models.encoder_decoder import EncoderDecoder, Memory, Written
from inkstone.tokens.span_corruption import PADDING

PLACES_AT_ONCE = 8192  # of sources and hypotheses in one batch
PLACES_AT_ONCE_ON_GPU = 1 << 17  # where a step takes as long for many texts as for few
CHUNK = 64  # neighbours in the vocabulary of which the likeliest is looked at first


@dataclass(frozen=True)
class Rules:
    """What is written, and which of it is kept."""

    beams: int
    alpha: float
    no_repeat_ngram: int
    min_tokens: int
    ends: Int[Tensor, " e"]
    vocabulary: int | None = None  # only ids below it are written; None: those of the tokenizer
    # Of log-probabilities (b, k, v) after what is written (b, k, t), the ones that hold; −∞ for what must not come next.
    further: Callable[[Tensor, Tensor], Tensor] | None = None

    def __post_init__(self):
        """Refuse what cannot be."""
        if self.beams < 1 or self.alpha < 0 or self.no_repeat_ngram < 0 or self.min_tokens < 0:
            raise SamplingError(
                f"beams = {self.beams}, length penalty {self.alpha}, no_repeat_ngram = {self.no_repeat_ngram}, "
                f"min_tokens = {self.min_tokens}, but must be at least 1, 0, 0 and 0"
            )

    @property
    def looked_at(self) -> int:
        """Extensions of a source that are looked at: each hypothesis may end in every end, so this many leave `beams`.

        One beam is greedy, and nothing goes on beside a text that has ended.
        """
        return 1 if self.beams == 1 else self.beams * (1 + len(self.ends))

    def allowed(self, scores: Float[Tensor, "b k v"], written: Int[Tensor, "b k t"]) -> Float[Tensor, "b k v"]:
        """Scores with −∞ at each token that must not come next."""
        if written.shape[2] < self.min_tokens:
            scores = scores.index_fill(2, self.ends, NEVER)
        if self.no_repeat_ngram:
            flat = without_repeats(scores.flatten(0, 1), written.flatten(0, 1), self.no_repeat_ngram)
            scores = flat.view_as(scores)
        return scores if self.further is None else self.further(scores, written)


@torch.inference_mode()
def write_texts(
    model: EncoderDecoder,
    sources: Sequence[Sequence[int]],
    *,
    max_tokens: int | Callable[[int], int],
    beams: int = 1,
    alpha: float = 0.6,
    no_repeat_ngram: int = 0,
    min_tokens: int = 0,
    ends: Collection[int] | None = None,
    constraint: Constraint | None = None,
    places_at_once: int | None = None,
) -> list[list[Hypothesis]]:
    """For each source the `beams` best texts found (fewer where there are fewer), the best first.

    `sources`: ids as the encoder reads them (lists or arrays); an empty one is the end token alone. `max_tokens`: of a
    text, its end included; a number, or what makes one of the number of tokens of a source. `min_tokens`: tokens that stand
    before an end at least. `alpha`: exponent of the length penalty, as in `beam_search`. With `no_repeat_ngram` = n, no n
    tokens stand twice in a text. `ends`: ids that end a text; without it the tokenizer's end.

    With a `constraint` texts have its form, as far as their tokens reach; their scores are those of the model.

    One beam is greedy: the likeliest token each time, up to the first end. `places_at_once` bounds a batch, and follows the device
    where it is None: each of its
    sources counts as many tokens as the longest of them, and `beams` times as many as the longest text may have. A single
    source is written from however much it counts.

    Raises SamplingError for settings that cannot hold, InkstoneError where the model gives no probabilities.
    """
    device = model.embedding.weight.device
    ending = sorted({model.tokenizer.end} if ends is None else ends)
    form = None if constraint is None else OfWritten(constraint.begin(model.tokenizer, ending))
    stops = torch.tensor(ending, dtype=torch.long, device=device)
    rules = Rules(beams, alpha, no_repeat_ngram, min_tokens, stops, further=form)
    ids = [torch.as_tensor(source) if len(source) else torch.tensor([model.tokenizer.end]) for source in sources]
    limits = [max_tokens(len(source)) if callable(max_tokens) else max_tokens for source in sources]
    context = model.settings.context if model.settings.positions == "learned" else None
    for limit in limits:
        if limit < 1 or (context is not None and limit > context):
            most = "" if context is None else f" and at most {context}, for which this model has learned positions"
            raise SamplingError(f"max_tokens = {limit}, but must be at least 1{most}")
    written: list[list[Hypothesis]] = [[] for _ in ids]
    writer = for_writing(model)
    if places_at_once is None:
        places_at_once = PLACES_AT_ONCE if device.type == "cpu" else PLACES_AT_ONCE_ON_GPU
    for rows in batches_of([len(source) for source in ids], [beams * limit for limit in limits], places_at_once):
        memory = read_sources(writer.model, [ids[row] for row in rows])
        first = torch.full((len(rows), 1), model.first, device=device)
        state = writer.model.start(len(rows), memory)
        finished = write_batch(writer, state, first, torch.tensor([limits[row] for row in rows], device=device), rules)
        for row, hypotheses in zip(rows, finished.hypotheses(ending), strict=True):
            written[row] = hypotheses
    return written


def batches_of(sources: Sequence[int], texts: Sequence[int], places: int) -> Iterator[list[int]]:
    """Numbers of sources in batches, the longest first. `sources` and `texts`: the places that each takes.

    A batch takes at most so many `places`, padding counted, unless a single source takes more.

    >>> list(batches_of([3, 9, 4, 3], [1, 1, 1, 6], 20))
    [[1, 2], [3, 0]]
    """
    batch: list[int] = []
    widest = 0
    for row in sorted(range(len(sources)), key=lambda row: (-sources[row], -texts[row])):
        wider = max(widest, texts[row])
        if batch and (len(batch) + 1) * (sources[batch[0]] + wider) > places:
            yield batch
            batch, wider = [], texts[row]
        batch.append(row)
        widest = wider
    if batch:
        yield batch


def read_sources(model: EncoderDecoder, sources: Sequence[Int[Tensor, " s"]]) -> Memory:
    """Sources of different lengths as the encoder has read them."""
    device = model.embedding.weight.device
    padded = torch.nn.utils.rnn.pad_sequence(list(sources), batch_first=True, padding_value=0)
    lengths = torch.tensor([len(source) for source in sources])
    if bool((lengths == padded.shape[1]).all()):
        return model.encode(padded.long().to(device))
    document = torch.where(torch.arange(padded.shape[1]) < lengths[:, None], 0, PADDING)
    return model.encode(padded.long().to(device), document.to(device))


def write_batch(
    writer: Writer, state: Written, read: Int[Tensor, "b 1"], limits: Int[Tensor, " b"], rules: Rules
) -> Finished:
    """The best texts to each source, of at most `limits` tokens.

    `state`: what the decoder has read before, which may be nothing; `read`: the token before the first that is written.
    """
    model = writer.model
    rows, device = len(limits), limits.device
    finished = Finished(rows, rules.beams, int(limits.max()), device)
    # What divides a total when all tokens are used up.
    at_most = torch.tensor(
        [length_penalty(limit, rules.alpha) for limit in limits.tolist()], dtype=torch.float64, device=device
    )
    number = torch.arange(rows, device=device)  # of the source of each row that is still in the batch
    before = state.length
    visible = torch.ones(rows, 1, before + 1, dtype=torch.bool, device=device)
    totals = torch.zeros(rows, 1, dtype=torch.float64, device=device)
    written = torch.zeros(rows, 1, 0, dtype=torch.long, device=device)
    gained = torch.zeros(rows, 1, 0, device=device)
    length = 0
    while True:
        length += 1
        states, state = model.branch(read, state, before + length - 1, visible)
        scores = writer.model.with_copies(writer.logits(states), states, read, state).float().log_softmax(-1)
        scores = rules.allowed(scores[..., : rules.vocabulary or model.tokenizer.vocab_size], written)
        values, parents, tokens = best_extensions(scores, totals, rules.looked_at)
        gains = scores[torch.arange(len(number), device=device)[:, None], parents, tokens]

        possible, stopped = values > NEVER, torch.isin(tokens, rules.ends) | (length >= limits[number])[:, None]
        over = (possible & stopped)[:, : rules.beams]
        if over.any():
            worth = (values[:, : rules.beams] / length_penalty(length, rules.alpha)).masked_fill(~over, NEVER)
            grown = (of_parents(written, parents, tokens), of_parents(gained, parents, gains))
            finished.add(number, worth, *(part[:, : rules.beams] for part in grown))

        going = possible & ~stopped
        going &= going.cumsum(1) <= rules.beams
        order = going.int().sort(dim=1, descending=True, stable=True).indices[:, : max(1, int(going.sum(1).max()))]
        totals = torch.where(going, values, NEVER).gather(1, order)
        # No continuation is worth more than this: a total only falls, and the penalty is largest at the end.
        on = totals[:, 0] / at_most[number] > finished.worst[number]
        if not on.any():
            return finished
        parents, read, gains = parents.gather(1, order), tokens.gather(1, order), gains.gather(1, order)
        written, gained = of_parents(written, parents, read), of_parents(gained, parents, gains)
        visible = of_parents(visible, parents)
        if not on.all():
            left = on.nonzero()[:, 0]
            state, number = state.select(left), number[left]
            read, visible, totals, written, gained = (x[left] for x in (read, visible, totals, written, gained))
        visible = without_dead_nodes(visible, state.cache)
        itself = torch.eye(visible.shape[1], dtype=torch.bool, device=device).expand(len(number), -1, -1)
        visible = torch.cat((visible, itself), dim=2)


def without_dead_nodes(visible: Bool[Tensor, "b k s"], cache: KeyValueCache) -> Bool[Tensor, "b k n"]:
    """Drop the nodes that no hypothesis sees, where they are the most of what a row holds."""
    seen = visible.any(1)
    most = int(seen.sum(1).max())
    if 2 * most > visible.shape[2]:
        return visible
    places = seen.int().sort(dim=1, descending=True, stable=True).indices[:, :most]
    cache.keep(places)
    return visible.gather(2, places[:, None].expand(-1, visible.shape[1], -1))


def best_extensions(
    scores: Float[Tensor, "b k v"], totals: Float[Tensor, "b k"], n: int
) -> tuple[Float[Tensor, "b n"], Int[Tensor, "b n"], Int[Tensor, "b n"]]:
    """The `n` highest of `totals` + `scores` in each row, sorted: the sum, its place on the axis k, and on the axis v.

    They stand in the n chunks of the vocabulary with the highest maxima, so that only these are sorted.
    """
    b, k, v = scores.shape
    whole = v // CHUNK * CHUNK
    peaks = scores[..., :whole].unflatten(2, (-1, CHUNK)).amax(3)
    if whole < v:
        peaks = torch.cat((peaks, scores[..., whole:].amax(2, keepdim=True)), dim=2)
    heights = (peaks + totals[..., None]).flatten(1)
    if heights.isnan().any():
        raise InkstoneError("the model's probabilities are not numbers; its weights are damaged")
    chunks = heights.topk(min(n, heights.shape[1])).indices
    hypothesis, columns = chunks // peaks.shape[2], chunks % peaks.shape[2] * CHUNK
    columns = columns[..., None] + torch.arange(CHUNK, device=scores.device)
    beyond, columns = columns >= v, columns.clamp(max=v - 1)
    row = torch.arange(b, device=scores.device)[:, None, None]
    found = scores[row, hypothesis[..., None], columns] + totals.gather(1, hypothesis)[..., None]
    best = found.masked_fill(beyond, NEVER).flatten(1).topk(min(n, k * v))
    return best.values, hypothesis.gather(1, best.indices // CHUNK), columns.flatten(1).gather(1, best.indices)
