"""An engine of others behind the face of our own: the same requests, the same pieces of text, the same facts.

`EngineThread` and `OtherEngine` can stand for one another. A text is put together from ids by our tokenizer, so that stop
strings, the ends of texts and characters that are not whole are as with our own engine. What an engine cannot do is refused
in words; but a filter that stands at the default of `Sampling` and that the engine has not is left out, as nobody asked for it.
Randomness is the engine's own: the same seed gives the same text with the same engine (where it has seeds), not across them.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import fields

import numpy as np

from inkstone.errors import InkstoneError
from inkstone.hub.foreign_engine import Asked, ForeignEngine, ForeignEngineError, Token
from inkstone.inference.continuation import Row, primed
from inkstone.inference.engine_facts import EngineFacts
from inkstone.inference.fair_queue import FairQueue
from inkstone.inference.generation import token_budget
from inkstone.inference.requests import EngineError, Heard, Request, Writing
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)

NEUTRAL = {
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
DEFAULTS = {field.name: field.default for field in fields(Sampling)}
FILTERS = ("top_k", "top_p", "min_p")  # at temperature 0 they change nothing
SAMPLE_SEEDS = 1_000_003  # between the seeds of two samples


class OtherEngine:
    """Writes with an engine of others, as many texts at once as it has slots. All methods may come from any thread."""

    def __init__(self, engine: ForeignEngine, tokenizer: Tokenizer, *, longest_queue: int = 1000):
        self.engine, self.tokenizer = engine, tokenizer
        self.queue = FairQueue(longest_queue)
        self.under_way: Counter[str] = Counter()
        self.counts = EngineFacts(engine.slots, engine.capacity)
        self.wake = threading.Condition()
        self.closing = self.cut = False
        self.threads = [
            threading.Thread(target=self._run, name=f"{engine.name} {slot}", daemon=True)
            for slot in range(engine.slots)
        ]
        for thread in self.threads:
            thread.start()

    @property
    def capacity(self) -> int:
        """Tokens of a prompt and what is written after it."""
        return self.engine.capacity

    @property
    def facts(self) -> EngineFacts:
        """What was done, and how things stand."""
        with self.wake:
            self.counts.waiting, self.counts.writing = len(self.queue), sum(self.under_way.values())
            return self.counts.copy()

    def submit(self, request: Request, hear: Callable[[Heard], None]) -> Writing:
        """Queue a request; `hear` is called in a thread of ours with each piece of its text.

        Raises Busy where too many wait, SamplingError for what the engine cannot do and for a prompt that is too long,
        EngineError where it is closing.
        """
        with self.wake:
            try:
                if self.closing:
                    raise EngineError("no more requests are taken: the engine is closing")
                writing = self._prepared(request, hear)
                self.queue.put(writing)
            except InkstoneError:
                self.counts.refused += 1
                raise
            self.counts.submitted += 1
            self.wake.notify()
        return writing

    def cancel(self, writing: Writing) -> None:
        """Stop: nothing more is heard of it."""
        writing.cancelled = True
        if self.queue.remove(writing):
            with self.wake:
                self.counts.cancelled += 1

    def close(self, finish: bool = True) -> None:
        """Take no more requests, and wait until those that were asked are written, or without `finish` are cut off."""
        with self.wake:
            self.closing, self.cut = True, not finish
            self.wake.notify_all()
        for thread in self.threads:
            thread.join()
        self.engine.close()

    def _prepared(self, request: Request, hear: Callable[[Heard], None]) -> Writing:
        tokenizer, room = self.tokenizer, self.engine.capacity
        prompt = np.array(request.prompt or (tokenizer.end,), dtype=np.int64)
        if len(prompt) >= room:
            raise SamplingError(
                f"the prompt has {len(prompt)} tokens, but at most {room - 1} can be read; make it shorter"
            )
        for name, ids in (("prompt", prompt), ("bias", np.array(list(request.bias), dtype=np.int64))):
            if len(ids) and not (ids.min() >= 0 and ids.max() < tokenizer.vocab_size):
                raise SamplingError(f"the {name} names a token outside the vocabulary of {tokenizer.vocab_size}")
        asked_of(request, self.engine, 1, frozenset())
        ends = frozenset({tokenizer.end}) if request.ends is None else request.ends
        row = Row(request.sample, request.sampling, primed(tokenizer.stream(), prompt.tolist()))
        budget = min(token_budget(request.sampling, len(prompt)), room - len(prompt))
        return Writing(request, hear, prompt, False, row, ends, budget)

    def _run(self) -> None:
        while True:
            with self.wake:
                self.wake.wait_for(lambda: len(self.queue) or self.closing)
                writing = self.queue.next(self.under_way)
                if writing is None:
                    if self.closing:
                        return
                    continue
                self.under_way[writing.request.client] += 1
            try:
                self._write(writing)
            except Exception as error:
                self._fail(writing, error)
            finally:
                with self.wake:
                    self.under_way[writing.request.client] -= 1
                    self.under_way += Counter()  # forgets clients that have none

    def _write(self, writing: Writing) -> None:
        if self.cut:
            raise EngineError("cut off: the engine was closed")
        row = writing.row
        asked = asked_of(writing.request, self.engine, writing.budget, writing.ends, tuple(writing.prompt.tolist()))
        ended = self.engine.write(asked, lambda token: self._take(writing, token))
        if writing.error is not None:
            raise writing.error
        if self.cut and row.reason is None:
            raise EngineError("cut off: the engine was closed")
        if writing.cancelled:
            with self.wake:
                self.counts.cancelled += 1
        elif row.reason is None:
            # It ended by itself: at a token that is an end to it alone, or with tokens that it did not tell.
            row.reason = "length" if ended == "length" else "end"
            rest = row.gate.finish()
            row.given.append(rest)
            self._tell(writing, Heard(rest, generated=row.generated(time.perf_counter() - writing.began)))

    def _take(self, writing: Writing, token: Token) -> bool:
        """One more token of a text; whether it is over."""
        row, now = writing.row, time.perf_counter()
        if writing.cancelled or self.cut or row.reason is not None:
            return True
        try:
            text = row.push(token.number, token.log_probability, writing.ends, writing.budget)
            with self.wake:
                self.counts.tokens_written += 1
                if writing.told is None:
                    self.counts.tokens_read += len(writing.prompt)
                    self.counts.to_first_token.add(now - writing.began)
                else:
                    self.counts.between_tokens.add(now - writing.told)
            writing.told = now
            generated = row.generated(now - writing.began)
            known = (token.number,), (token.log_probability,), (token.alternatives,)
            self._tell(writing, Heard(text, *known, generated))
        except Exception as error:
            writing.error = error
            return True
        return generated is not None

    def _tell(self, writing: Writing, heard: Heard) -> None:
        writing.hear(heard)
        if heard.generated is not None:
            with self.wake:
                self.counts.finished += 1

    def _fail(self, writing: Writing, error: Exception) -> None:
        with self.wake:
            self.counts.failed += 1
        if isinstance(error, ForeignEngineError) or not isinstance(error, InkstoneError):
            log.error("a text of the engine %s failed", self.engine.name, exc_info=error)
            error = EngineError(f"the text could not be written: {type(error).__name__}: {error}")
        try:
            writing.hear(Heard(error=error))
        except Exception:
            log.exception("a listener failed as it was told of an error")


def asked_of(
    request: Request, engine: ForeignEngine, most: int, ends: frozenset[int], prompt: tuple[int, ...] = ()
) -> Asked:
    """A request in the words of an engine of others. Raises SamplingError for what it cannot do."""
    s, cannot = request.sampling, engine.cannot
    wanted = {name: getattr(s, name) for name in NEUTRAL}
    if s.temperature == 0:
        wanted |= {name: NEUTRAL[name] for name in FILTERS}
    for name, value in wanted.items():
        if name in cannot and value == DEFAULTS[name]:
            wanted[name] = NEUTRAL[name]
    refused = [name for name, value in wanted.items() if name in cannot and value != NEUTRAL[name]]
    if request.seeded and s.temperature and "seed" in cannot:
        refused.append("seed")
    refused += [name for name in ("constraint", "bias", "alternatives") if name in cannot and getattr(request, name)]
    if refused:
        raise SamplingError(
            f"the engine {engine.name} has no {' and no '.join(cannot[name] for name in refused)}; "
            "leave that out, or serve with --engine inkstone"
        )
    return Asked(
        prompt,
        most,
        ends,
        temperature=s.temperature,
        seed=s.seed + SAMPLE_SEEDS * request.sample,
        bias=dict(request.bias),
        alternatives=request.alternatives,
        **wanted,
    )
