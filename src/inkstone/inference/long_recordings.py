"""Recordings of any length, by a Whisper: window after window, each from where the last whole segment of the one before ended.

Where a window's text ends in a pair of times, something after them was begun and not finished: the next window begins there. Where
it ends in a single time, nothing is said after it, and the next window begins where this one ends. (Radford et al. 2022, section 3.8.)

Several recordings are read side by side, a window of each at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from inkstone.audio.whisper_features import FRAMES_A_SECOND, HOP, whisper_features
from inkstone.errors import RunError
from inkstone.inference.attention_times import aligning_heads, first_states
from inkstone.inference.packed import Writer, for_writing
from inkstone.inference.whisper_decoding import Decoding, Heard, decode_windows, languages_of
from inkstone.inference.word_times import spelled_words
from inkstone.models.encoder_decoder import Memory
from inkstone.models.whisper import FRAMES_A_STATE, STATES_A_SECOND, Whisper
from inkstone.tokens.speech_tokens import SpeechTokens
from inkstone.tokens.tokenizer import Tokenizer

WINDOWS_AT_ONCE = 8
WARM = 0.5  # what was drawn at a higher temperature is not shown to the windows after it


@dataclass(frozen=True)
class Word:
    """A word, and when it is said, in seconds from the begin of the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Segment:
    """What is said from one time to another."""

    start: float  # seconds from the begin of the recording
    end: float
    text: str
    ids: tuple[int, ...]  # of the text
    window: int  # the frame at which the window begins that it was heard in
    heard: Heard
    words: tuple[Word, ...] = ()  # where their times were asked for


@dataclass
class Transcript:
    """What is said in a recording."""

    seconds: float
    segments: list[Segment] = field(default_factory=list)
    languages: dict[str, float] = field(
        default_factory=dict
    )  # how likely each is; empty where it was given or is known
    language: str | None = None
    silent: list[tuple[float, float]] = field(default_factory=list)  # windows in which nobody was found to speak

    def text(self, tokenizer: Tokenizer) -> str:
        """All of it."""
        return tokenizer.decode([number for segment in self.segments for number in segment.ids]).strip()


@dataclass
class _Underway:
    """A recording that is being read."""

    number: int
    features: Float[Tensor, "bins frames"]
    frames: int  # of sound
    transcript: Transcript
    at: int = 0  # the frame from which on it is not written yet
    shown: list[int] = field(default_factory=list)  # what was written last, for the next window to see


def transcribe(
    model: Whisper,
    tokens: SpeechTokens,
    recordings: Iterable[Float[np.ndarray, " n"]],
    decoding: Decoding | None = None,
) -> Iterator[tuple[int, Transcript]]:
    """The number of each recording and what is said in it, as they get finished. A recording: 16,000 samples a second.

    Raises RunError for a language or a task that the checkpoint does not know, and for a recording longer than a window where
    no times are wanted.
    """
    decoding = decoding or Decoding()
    if decoding.previous and tokens.previous is None:
        raise RunError("this checkpoint has no token that begins a previous text; leave previous out")
    given = None if decoding.language is None else tokens.language(decoding.language)
    writer, waiting = for_writing(model), enumerate(recordings)
    underway: list[_Underway] = []
    while True:
        while len(underway) < WINDOWS_AT_ONCE and (following := next(waiting, None)) is not None:
            underway.append(_begun(model, *following, decoding))
        if not underway:
            return
        shown = len(underway[0].shown)
        group = [each for each in underway if len(each.shown) == shown]  # prompts of one length are read together
        for each, heard in zip(group, _heard(writer, tokens, group, given, decoding), strict=True):
            _go_on(each, heard, tokens, model, decoding)
        for each in [each for each in group if each.at >= each.frames]:
            underway.remove(each)
            yield each.number, each.transcript


def _begun(model: Whisper, number: int, samples: Float[np.ndarray, " n"], decoding: Decoding) -> _Underway:
    window = model.settings.frames
    features = whisper_features(samples, model.settings.bins, least=window * HOP)
    frames = min(features.shape[1], max(1, -(-len(samples) // HOP)))
    if not decoding.times and frames > window:
        raise RunError(
            f"a recording of {len(samples) / HOP / FRAMES_A_SECOND:.1f} s is read in several windows, which only times join; "
            "ask for times"
        )
    return _Underway(number, features, frames, Transcript(frames / FRAMES_A_SECOND, language=decoding.language))


def _heard(
    writer: Writer, tokens: SpeechTokens, group: Sequence[_Underway], given: int | None, decoding: Decoding
) -> list[Heard]:
    """What is written of the next window of each."""
    model: Whisper = writer.model  # type: ignore[assignment]
    device, size = model.embedding.weight.device, model.settings.frames
    windows = [each.features[:, each.at : each.at + size] for each in group]
    padded = [torch.nn.functional.pad(window, (0, size - window.shape[1])) for window in windows]
    with torch.inference_mode():
        memory = model.encode(torch.stack(padded).to(device))
    if tokens.languages and any(each.transcript.language is None for each in group):
        for each, chances in zip(group, languages_of(model, tokens, memory), strict=True):
            if each.transcript.language is None:
                each.transcript.language, each.transcript.languages = next(iter(chances)), chances
    prompts, spoken = [], []
    for each in group:
        language = given if each.transcript.language is None else tokens.language(each.transcript.language)
        spoken.append(language)
        before = [tokens.previous, *each.shown] if each.shown else []
        prompts.append([*before, *tokens.prompt(language, translate=decoding.translate, times=decoding.times)])
    seeds = [(decoding.seed * 1_000_003 + each.number) * 1_000_003 + each.at for each in group]
    generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
    found = decode_windows(writer, tokens, memory, torch.tensor(prompts, device=device), decoding, generators)
    if not decoding.words:
        return found
    sounds = [min(size, each.frames - each.at) // FRAMES_A_STATE for each in group]
    rows = [Memory(memory.states[row : row + 1]) for row in range(len(group))]
    return [
        replace(heard, said_at=_said_at(model, row, states, language, decoding.translate, tokens, heard.ids))
        for heard, row, states, language in zip(found, rows, sounds, spoken, strict=True)
    ]


def _said_at(
    model: Whisper,
    memory: Memory,
    states: int,
    language: int | None,
    translate: bool,
    tokens: SpeechTokens,
    ids: Sequence[int],
) -> tuple[int, ...]:
    """The state at which each token of a window's text begins, and at which the last one ends: the text is read once more, without times.

    The token before the text tells the first of it, the last token of it what comes after.
    """
    text = [number for number in ids if number < tokens.end]
    if not text or not states:
        return ()
    prompt = tokens.prompt(language, translate=translate, times=False)
    heads = aligning_heads(model, tokens.alignment_heads)
    return tuple(first_states(model, memory, [*prompt, *text], len(prompt) - 1, heads, states).tolist())


def _go_on(each: _Underway, heard: Heard, tokens: SpeechTokens, model: Whisper, decoding: Decoding) -> None:
    """Take in what was heard, and move to where the next window begins."""
    frames = min(model.settings.frames, each.frames - each.at)
    begin, transcript = each.at, each.transcript
    if heard.silent(decoding):
        transcript.silent.append((begin / FRAMES_A_SECOND, (begin + frames) / FRAMES_A_SECOND))
        each.at += frames
        return
    pieces, states = pieces_of(heard.ids, tokens.first_time, frames // FRAMES_A_STATE)
    told = 0  # tokens of the text
    for first, last, ids in pieces:
        text_ids = tuple(number for number in ids if number < tokens.end)
        text = model.tokenizer.decode(text_ids).strip()
        if text:
            start, end = (begin / FRAMES_A_SECOND + state / STATES_A_SECOND for state in (first, last))
            start = min(start, transcript.seconds)
            end = min(max(start, end), transcript.seconds)
            said_at = [begin / FRAMES_A_SECOND + at / STATES_A_SECOND for at in heard.said_at[told:]]
            words = _words(text_ids, said_at, model.tokenizer, transcript.seconds) if said_at else ()
            transcript.segments.append(Segment(start, end, text, text_ids, begin, heard, words))
        told += len(text_ids)
    each.at += frames if states is None else FRAMES_A_STATE * states
    if decoding.previous:
        written = [number for _, _, ids in pieces for number in ids] if heard.temperature < WARM else []
        kept = [*each.shown, *written] if written else []
        each.shown = kept[-(model.settings.context // 2 - 1) :]


def _words(ids: Sequence[int], said_at: Sequence[float], tokenizer: Tokenizer, most: float) -> tuple[Word, ...]:
    """The words of a text whose tokens begin at these seconds, up to the end of the recording."""
    return tuple(
        Word(word, min(said_at[first], most), min(said_at[last + 1], most))
        for word, first, last in spelled_words(ids, tokenizer)
    )


def pieces_of(
    ids: Sequence[int], first_time: int, states: int
) -> tuple[list[tuple[int, int, tuple[int, ...]]], int | None]:
    """A window's text cut between its pairs of times: each piece from which state to which; and the state up to which all is told.

    None: up to the window's end. A text without times is one piece as long as the window's `states`.

    >>> pieces_of([100, 7, 104, 104, 8, 109, 109, 9], 100, 50)
    ([(0, 4, (100, 7, 104)), (4, 9, (104, 8, 109))], 9)
    >>> pieces_of([103, 7, 104, 106, 8, 109], 100, 50)
    ([(3, 4, (103, 7, 104)), (6, 9, (106, 8, 109))], None)
    >>> pieces_of([7, 8], 100, 50)
    ([(0, 50, (7, 8))], None)
    """
    is_time = [number >= first_time for number in ids]
    cuts = [at for at in range(1, len(ids)) if is_time[at - 1] and is_time[at]]
    single = is_time[-2:] == [False, True]
    if not cuts:
        times = [number - first_time for number, time in zip(ids, is_time, strict=True) if time]
        begin = times[0] if is_time[:1] == [True] else 0
        return [(begin, times[-1] if times and times[-1] > begin else max(begin, states), tuple(ids))], None
    ends = [*cuts, len(ids)] if single else cuts
    pieces = []
    for begin, end in zip([0, *ends], ends, strict=False):
        piece = tuple(ids[begin:end])
        pieces.append((max(0, piece[0] - first_time), piece[-1] - first_time, piece))
    told = ids[cuts[-1] - 1] - first_time
    return pieces, None if single or told < 1 else told
