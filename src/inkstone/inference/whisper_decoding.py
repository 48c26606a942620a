"""What is said in windows of sound, by a Whisper: the likeliest text, and another try where that cannot be right.

A text that compresses too well repeats itself; one whose tokens are unlikely on the whole was guessed. Then it is drawn anew at
the next temperature, until one passes or none is left. Where the tokens are unlikely and the model holds that nobody speaks, the
window is silent. Source: Radford et al. 2022, section 4.5.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inkstone.errors import RecipeError
from inkstone.inference.beam_search import Hypothesis
from inkstone.inference.packed import Writer
from inkstone.inference.time_rules import NEVER, TimeRules
from inkstone.inference.writing import Rules, write_batch
from inkstone.layers.kv_cache import KeyValueCache
from inkstone.models.encoder_decoder import Memory, Written
from inkstone.models.whisper import Whisper
from inkstone.tokens.speech_tokens import SpeechTokens
from inkstone.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Decoding:
    """How recordings are transcribed."""

    language: str | None = None  # its code; None: told from the sound
    translate: bool = False  # into English
    times: bool = True
    words: bool = False  # whether the times of words are told, too
    beams: int = 1  # texts under way at a time; 1: always the likeliest next token
    length_penalty: float = 1.0  # an exponent, as in `beam_search`
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # each taken where the one before did not do
    most_compression: float = 2.4  # of a text that does
    least_log_probability: float = -1.0  # of its tokens, in the mean
    no_speech: float = 0.6  # the chance that nobody speaks, from which it is believed
    previous: bool = False  # whether a window is written with the text before it in view
    seed: int = 0  # of what is drawn

    def __post_init__(self):
        """Refuse what cannot be."""
        if not self.temperatures or min(self.temperatures) < 0 or self.beams < 1 or self.length_penalty < 0:
            raise RecipeError(
                f"temperatures = {self.temperatures}, beams = {self.beams}, length_penalty = {self.length_penalty}; but there must "
                "be a temperature, none below 0, at least 1 beam, and a penalty of at least 0"
            )


@dataclass(frozen=True)
class Heard:
    """What is written of one window."""

    ids: tuple[int, ...]  # without the end
    log_probability: float  # of a token in the mean, the end counted
    compression: float  # bytes of the text for one byte of it compressed
    temperature: float
    no_speech: float  # the chance that nobody speaks
    said_at: tuple[int, ...] = ()  # of words: the state at which each token of the text begins, and the last one ends

    def silent(self, decoding: Decoding) -> bool:
        """Whether nothing is said in the window."""
        return self.no_speech > decoding.no_speech and self.log_probability < decoding.least_log_probability

    def fails(self, decoding: Decoding) -> bool:
        """Whether the text cannot be right."""
        doubtful = self.log_probability < decoding.least_log_probability or self.compression > decoding.most_compression
        return doubtful and not self.silent(decoding)


@torch.inference_mode()
def languages_of(model: Whisper, tokens: SpeechTokens, memory: Memory) -> list[dict[str, float]]:
    """How likely each language is in each window, the likeliest first: what the model says after the start token, of these alone."""
    rows, names = len(memory.states), list(tokens.languages)
    start = torch.full((rows, 1), tokens.start, device=memory.states.device)
    scores, _ = model.step(start, model.start(rows, memory))
    chances = scores[:, -1, [tokens.languages[name] for name in names]].softmax(-1).tolist()
    return [dict(sorted(zip(names, row, strict=True), key=lambda each: -each[1])) for row in chances]


@torch.inference_mode()
def decode_windows(
    writer: Writer,
    tokens: SpeechTokens,
    memory: Memory,
    prompts: Int[Tensor, "b p"],
    decoding: Decoding,
    generators: Sequence[torch.Generator],
) -> list[Heard]:
    """What is written of each window after its prompt, which holds the start token. A generator draws for each window."""
    model, limit = writer.model, writer.model.settings.context - prompts.shape[1]
    rules = Rules(
        decoding.beams,
        decoding.length_penalty,
        no_repeat_ngram=0,
        min_tokens=0,
        ends=torch.tensor([tokens.end], device=prompts.device),
        vocabulary=model.settings.vocab_size,
        further=TimeRules(tokens, decoding.times),
    )
    remembered = model.start(len(prompts), memory).memory
    heard: list[Heard | None] = [None] * len(prompts)
    left = list(range(len(prompts)))
    for temperature in decoding.temperatures:
        rows = torch.tensor(left, device=prompts.device)
        state = Written(KeyValueCache(len(model.decoder), len(left)), [(k[rows], v[rows]) for k, v in remembered], None)
        scores, state = model.step(prompts[rows], state)
        place = int((prompts[0] == tokens.start).nonzero()[-1])
        nobody = scores[:, place, tokens.no_speech].exp().tolist()
        state.cache.length -= 1  # the last token is read again, as what every text goes on from
        read = prompts[rows, -1:]
        if temperature == 0:
            limits = torch.full((len(left),), limit, device=prompts.device)
            found = [each[0] for each in write_batch(writer, state, read, limits, rules).hypotheses([tokens.end])]
        else:
            found = draw_texts(writer, state, read, limit, rules, temperature, [generators[row] for row in left])
        for row, hypothesis, chance in zip(left, found, nobody, strict=True):
            heard[row] = heard_in(hypothesis, chance, temperature, tokens, model.tokenizer)
        left = [row for row in left if heard[row].fails(decoding)]  # type: ignore[union-attr]
        if not left:
            break
    return heard  # type: ignore[return-value]


def heard_in(
    hypothesis: Hypothesis, no_speech: float, temperature: float, tokens: SpeechTokens, tokenizer: Tokenizer
) -> Heard:
    """What a text comes to."""
    ids = hypothesis.ids[:-1] if hypothesis.ended else hypothesis.ids
    text = tokenizer.decode([number for number in ids if number < tokens.end])
    mean = sum(hypothesis.log_probabilities) / len(hypothesis.log_probabilities)
    return Heard(ids, mean, compression(text), temperature, no_speech)


def compression(text: str) -> float:
    """Bytes of a text for one byte of it compressed: about 1 of a sentence, far more of one that repeats itself.

    >>> compression("ink on stone") < 1.2 < 10 < compression("ink on stone, " * 40)
    True
    """
    whole = text.strip().encode()
    return len(whole) / len(zlib.compress(whole))


def draw_texts(
    writer: Writer,
    state: Written,
    read: Int[Tensor, "b 1"],
    limit: int,
    rules: Rules,
    temperature: float,
    generators: Sequence[torch.Generator],
) -> list[Hypothesis]:
    """A text to each source, each token drawn from p^(1/T); its log-probabilities are those of T = 1."""
    model, ends = writer.model, set(rules.ends.tolist())
    ids: list[list[int]] = [[] for _ in generators]
    gains: list[list[float]] = [[] for _ in generators]
    going = list(range(len(generators)))
    for _ in range(limit):
        scores, state = model.step(read, state)
        written = torch.tensor([[ids[row]] for row in going], dtype=torch.long, device=read.device)
        scores = rules.allowed(scores[..., : rules.vocabulary], written)[:, 0]
        drawn = _drawn(scores, temperature, [generators[row] for row in going])
        for row, token, gain in zip(
            going, drawn.tolist(), scores.gather(1, drawn[:, None])[:, 0].tolist(), strict=True
        ):
            ids[row].append(token)
            gains[row].append(gain)
        kept = [at for at, row in enumerate(going) if ids[row][-1] not in ends]
        if len(kept) < len(going):
            rows = torch.tensor(kept, dtype=torch.long, device=read.device)
            going, state, drawn = [going[at] for at in kept], state.select(rows), drawn[rows]
        if not going:
            break
        read = drawn[:, None]
    return [
        Hypothesis(tuple(own), tuple(gain), sum(gain), own[-1] in ends) for own, gain in zip(ids, gains, strict=True)
    ]


def _drawn(
    scores: Float[Tensor, "b v"], temperature: float, generators: Sequence[torch.Generator]
) -> Int[Tensor, " b"]:
    """The first of exponential clocks to ring, the rate of each being p^(1/T): drawn by p^(1/T)."""
    clocks = torch.stack([torch.empty(scores.shape[1]).exponential_(generator=each) for each in generators])
    races = scores.float() / temperature - clocks.to(scores.device).log()
    return races.masked_fill(scores == NEVER, NEVER).argmax(-1)
