"""The batching engine: many requests written together, each as if it were alone.

A turn of the engine is three things, and rows come and go between turns (continuous batching; Yu et al. 2022, Orca):

    admit   a slot for those whose turn it is, with what a slot already holds of their prompt (prefix cache)
    read    the next chunks of prompts, at most so many tokens, so that those who write wait little (chunked prefill;
            Agrawal et al. 2023)
    write   one token for every text whose prompt has been read, and those that its form then forces, which are read together

What one request suffers, a form that cannot be kept to or a listener that raises, ends that request alone.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from inkstone.errors import InkstoneError
from inkstone.inference.continuation import Row, primed
from inkstone.inference.drawing import draw_each, likeliest
from inkstone.inference.engine_facts import EngineFacts
from inkstone.inference.fair_queue import FairQueue
from inkstone.inference.generation import token_budget
from inkstone.inference.requests import Busy, EngineError, Heard, Likely, Request, Writing
from inkstone.inference.sampling import SamplingError
from inkstone.inference.slots import SHORTEST_COPY, Slots
from inkstone.inference.slotted import Slotted, ahead_at_most

T = TypeVar("T")

__all__ = ["Busy", "Engine", "EngineError", "EngineFacts", "Heard", "Request", "Writing"]


class Engine:
    """Writes with one model for many askers. `submit` and `cancel` may come from any thread, `step` from one alone."""

    def __init__(self, model: Slotted, *, longest_queue: int = 1000, prompt_tokens: int = 256):
        """`longest_queue`: requests that may wait. `prompt_tokens`: of all prompts together, read in one turn at most."""
        if longest_queue < 1 or prompt_tokens < 1:
            raise SamplingError(
                f"longest_queue = {longest_queue} and prompt_tokens = {prompt_tokens}, but both must be at least 1"
            )
        self.model, self.prompt_tokens = model, prompt_tokens
        self.queue = FairQueue(longest_queue)
        self.slots = Slots(model)
        self.reading: list[Writing] = []
        self.writing: list[Writing] = []
        self.under_way: Counter[str] = Counter()  # texts of each client that have a slot
        self.counts = EngineFacts(model.slots, model.capacity)

    @property
    def facts(self) -> EngineFacts:
        """What was done, and how things stand."""
        self.counts.waiting, self.counts.reading = len(self.queue), len(self.reading)
        self.counts.writing = len(self.writing)
        return self.counts.copy()

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.queue or self.reading or self.writing)

    def submit(self, request: Request, hear: Callable[[Heard], None]) -> Writing:
        """Queue a request; `hear` is called in the thread of `step` with each piece of its text.

        A text that `max_tokens` would lead beyond its slot is cut there, and its finish reason is "length".

        Raises Busy where too many wait, SamplingError for a prompt that is too long or holds ids that are none,
        ConstraintError for a form that the vocabulary cannot spell.
        """
        try:
            writing = self._prepared(request, hear)
            self.queue.put(writing)
        except InkstoneError:
            self._count("refused")
            raise
        self._count("submitted")
        return writing

    def cancel(self, writing: Writing) -> None:
        """Stop: nothing more is heard of it, and its slot is free before the next token of anyone."""
        writing.cancelled = True
        if self.queue.remove(writing):
            self._count("cancelled")

    @torch.inference_mode()
    def step(self) -> bool:
        """One turn; whether there is more to do."""
        self.counts.turns += 1
        for writing in [each for each in (*self.reading, *self.writing) if each.cancelled]:
            self._count("cancelled")
            self._leave(writing)
        self._admit()
        begun = self._read()
        due, *scores = self._step() if self.writing else ([],)
        scores += [torch.stack(list(begun.values()))] if begun else []
        self.reading = [writing for writing in self.reading if writing not in begun]
        self.writing += begun
        if scores:
            self._draw([*due, *begun], scores[0] if len(scores) == 1 else torch.cat(scores))
        return self.busy

    def end_all(self, error: InkstoneError) -> None:
        """Every request, waiting or under way, ends with this error."""
        while (writing := self.queue.next(self.under_way)) is not None:
            self.reading.append(writing)
            self.under_way[writing.request.client] += 1
        for writing in (*self.reading, *self.writing):
            self._fail(writing, error)

    def _count(self, name: str) -> None:
        with self.queue.lock:  # any thread may come here
            setattr(self.counts, name, getattr(self.counts, name) + 1)

    def _prepared(self, request: Request, hear: Callable[[Heard], None]) -> Writing:
        model, tokenizer, sampling = self.model, self.model.tokenizer, request.sampling
        prompt = np.array(request.prompt or (tokenizer.end,), dtype=np.int64)
        if len(prompt) > model.capacity:
            raise SamplingError(
                f"the prompt has {len(prompt)} tokens, but at most {model.capacity} can be read; make it shorter"
            )
        for name, ids in (("prompt", prompt), ("bias", np.array(list(request.bias), dtype=np.int64))):
            if len(ids) and not (ids.min() >= 0 and ids.max() < tokenizer.vocab_size):
                raise SamplingError(f"the {name} names a token outside the vocabulary of {tokenizer.vocab_size}")
        for name, value in (("sample", request.sample), ("alternatives", request.alternatives)):
            if value < 0:
                raise SamplingError(f"{name} = {value}, but must be 0 or more")
        own = 0 if model.apart else len(prompt)
        ends = frozenset({tokenizer.end}) if request.ends is None else request.ends
        form = None if request.constraint is None else request.constraint.begin(tokenizer, ends)
        text = tokenizer.stream() if model.apart else primed(tokenizer.stream(), prompt.tolist())
        row = Row(request.sample, sampling, text, form)
        # The last token of a text is never read and needs no room; in a text that stands apart, what stands first does.
        budget = min(token_budget(sampling, own), model.capacity - own + (not model.apart))
        return Writing(request, hear, prompt, model.apart, row, ends, budget)

    def _admit(self) -> None:
        while not self.slots.taken.all() and (writing := self.queue.next(self.under_way)) is not None:
            self.under_way[writing.request.client] += 1
            self.reading.append(writing)
            self._attempt(writing, self._take_slot)

    def _take_slot(self, writing: Writing) -> None:
        writing.slot, writing.read = self.slots.take(writing.prompt)
        self.counts.tokens_reused += writing.read
        self._follow(writing)

    def _follow(self, writing: Writing) -> None:
        """Let a prompt wait for another that begins alike and is being read, where that saves reading it twice."""
        writing.behind, writing.shared = None, writing.read + SHORTEST_COPY - 1
        for other in self.reading:
            if other is not writing and other.behind is None:
                common = self._common(writing, other)
                if common > writing.shared:
                    writing.behind, writing.shared = other, common

    def _common(self, writing: Writing, other: Writing) -> int:
        if np.array_equal(writing.prompt, other.prompt):
            return len(writing.prompt)
        if not self.model.rewinds:
            return 0
        n = min(len(writing.prompt) - 1, len(other.prompt))
        differs = writing.prompt[:n] != other.prompt[:n]
        return int(differs.argmax()) if differs.any() else n

    def _read(self) -> dict[Writing, Tensor]:
        """Read chunks of prompts; log-probabilities after each prompt that is whole now.

        The prompt that came first has half of the turn, so that it goes on whatever comes; of the others the shortest are
        first, so that none waits for long ones.
        """
        for writing in self.reading:
            if writing.behind is not None and writing.behind not in self.reading:
                self._follow(writing)
        alone = [writing for writing in self.reading if writing.behind is None]
        order = alone[:1] + sorted(alone[1:], key=lambda writing: writing.unread)
        left, begun = self.prompt_tokens, {}
        for place, writing in enumerate(order):
            share = max(1, left // 2) if place == 0 and len(order) > 1 else left
            chunk = writing.unread if self.model.apart else min(writing.unread, share)
            if left <= 0:
                break
            left -= chunk
            scores = self._attempt(writing, self._read_chunk, chunk)
            if scores is None:
                continue
            if not writing.unread:
                begun[writing] = scores
            for follower in [each for each in self.reading if each.behind is writing and each.shared <= writing.read]:
                self._attempt(follower, self._catch_up)
                if not follower.unread:
                    begun[follower] = scores
        return begun

    def _read_chunk(self, writing: Writing, tokens: int) -> Tensor:
        ids = writing.prompt[writing.read : writing.read + tokens].tolist()
        scores = self.model.read(writing.slot, ids, writing.read)
        if not self.model.apart:
            self.slots.add(writing.slot, ids)
        writing.read += tokens
        self.counts.tokens_read += tokens
        return scores

    def _catch_up(self, writing: Writing) -> None:
        """Copy what the one before has read for both."""
        assert writing.behind is not None
        self.slots.copy(writing.behind.slot, writing.slot, 0 if self.model.apart else writing.shared)
        self.counts.tokens_reused += writing.shared - writing.read
        writing.read, writing.behind = writing.shared, None

    def _step(self) -> tuple[list[Writing], Tensor]:
        """Read on in each text that writes, in the order of their slots; those that are read to their end, and what follows there."""
        self.writing.sort(key=lambda writing: writing.slot)
        unread = [self._decided(writing) for writing in self.writing]
        longest = max(int(self.slots.lengths[writing.slot]) + 1 for writing in self.writing)
        most = ahead_at_most(len(unread), longest)
        counts = [min(len(own), most) for own in unread]
        ids = np.array([number for own, n in zip(unread, counts, strict=True) for number in own[:n]])
        slots = np.repeat([writing.slot for writing in self.writing], counts)
        ends = np.cumsum(counts)
        lengths = self.slots.lengths[slots] + np.arange(len(ids)) - np.repeat(ends - counts, counts)
        try:
            scores = self.model.step(*map(torch.from_numpy, (ids, slots, lengths)))
        except Exception as error:
            for writing in self.writing[:]:
                self._fail(writing, error)
            return [], torch.empty(0, self.model.tokenizer.vocab_size)
        for writing, own, n in zip(self.writing, unread, counts, strict=True):
            self.slots.add(writing.slot, own[:n])
        due = [place for place, (own, n) in enumerate(zip(unread, counts, strict=True)) if n == len(own)]
        scores = scores if len(due) == len(ids) else scores[torch.from_numpy(ends[due] - 1)]
        return [self.writing[place] for place in due], scores

    def _decided(self, writing: Writing) -> list[int]:
        """The tokens of a text that its slot has not read yet."""
        own = 0 if self.model.apart else len(writing.prompt)
        return writing.row.ids[self.slots.lengths[writing.slot] - own :]

    def _draw(self, rows: list[Writing], scores: Tensor) -> None:
        """Choose the next token of each text, and tell it with those that its form then forces."""
        chosen = draw_each(scores, rows, self.slots)
        gained = scores.gather(1, chosen[:, None])[:, 0].tolist()
        others, now = likeliest(scores, rows), time.perf_counter()
        for writing, *drawn in zip(rows, chosen.tolist(), gained, others, strict=True):
            if writing.error is not None:
                self._fail(writing, writing.error)
            elif not writing.cancelled:
                self._attempt(writing, self._take, *drawn, now)

    def _take(self, writing: Writing, number: int, log_probability: float, others: Likely, now: float) -> None:
        row, before = writing.row, len(writing.row.ids)
        forced = row.form is not None and row.form.forced() is not None
        text = row.push(number, log_probability, writing.ends, writing.budget)
        if self.model.several:
            text += row.jump(writing.ends, writing.budget)
        ids, gained = tuple(row.ids[before:]), tuple(row.log_probabilities[before:])
        self.counts.tokens_written += len(ids)
        if writing.told is None:
            self.counts.to_first_token.add(now - writing.began)
        else:
            self.counts.between_tokens.add(now - writing.told)
        writing.told = now
        if writing.request.alternatives:  # beside what is forced there is none
            alone = [((each, 0.0),) for each in ids]
            told = tuple(alone) if forced else (others, *alone[1:])
        else:
            told = ((),) * len(ids)
        generated = row.generated(now - writing.began)
        writing.hear(Heard(text, ids, gained, told, generated))
        if generated is not None:
            self.counts.finished += 1
            self._leave(writing)

    def _attempt(self, writing: Writing, act: Callable[..., T], *arguments: Any) -> T | None:
        """Do something for one request, which ends alone where that goes wrong."""
        try:
            return act(writing, *arguments)
        except Exception as error:
            self._fail(writing, error)

    def _fail(self, writing: Writing, error: Exception) -> None:
        """End one request with an error; what its slot holds is not relied on."""
        self.counts.failed += 1
        self._leave(writing, keep=False)
        if not isinstance(error, InkstoneError):
            cause, error = error, EngineError(f"the request failed: {type(error).__name__}: {error}")
            error.__cause__ = cause
        with contextlib.suppress(Exception):  # it may be the listener that failed
            writing.hear(Heard(error=error))

    def _leave(self, writing: Writing, keep: bool = True) -> None:
        for rows in (self.reading, self.writing):
            if writing in rows:
                rows.remove(writing)
        client = writing.request.client
        self.under_way[client] -= 1
        if not self.under_way[client]:
            del self.under_way[client]
        if writing.slot >= 0:
            self.slots.free(writing.slot, keep)
