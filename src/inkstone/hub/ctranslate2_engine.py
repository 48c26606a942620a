"""CTranslate2 as an engine: a decoder goes in as its folder, and its `Generator` writes in this process.

Texts that wait and are drawn by the same settings are written as one batch; those that come later wait until it ends, as
CTranslate2 takes none into a batch under way.
"""

import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from inkstone.errors import MissingExtraError
from inkstone.hub.ctranslate2_folder import vocabulary, write_ctranslate2
from inkstone.hub.foreign_engine import Asked, Ended, ForeignEngineError, Hear, Token
from inkstone.models.decoder import Decoder

GATHER = 0.002  # seconds in which more texts may come to a batch


@dataclass(eq=False)
class _Job:
    asked: Asked
    hear: Hear
    done: threading.Event = field(default_factory=threading.Event)
    ended: Ended | None = None
    error: Exception | None = None
    count: int = 0

    @property
    def alike(self) -> tuple:
        """Texts of one batch have these in common."""
        a = self.asked
        return a.temperature, a.top_k, a.top_p, a.repetition_penalty, a.ends


class CTranslate2:
    """A decoder in CTranslate2. `dtype` is one of `ctranslate2_folder.DTYPES`."""

    name: ClassVar[str] = "ctranslate2"
    cannot: ClassVar[Mapping[str, str]] = {
        "constraint": "answers of a given form",
        "bias": "logit_bias",
        "alternatives": "the likeliest tokens beside each",
        "seed": "seed for texts that are drawn",  # its threads draw each from a source that is seeded once
        "min_p": "min_p",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
    }

    def __init__(
        self,
        model: Decoder,
        *,
        slots: int = 8,
        capacity: int | None = None,
        dtype: str = "float32",
        threads: int = 0,
    ):
        """Write the model into a folder of its own, and open it. Raises MissingExtraError without the package ctranslate2."""
        try:
            import ctranslate2
        except ImportError:
            raise MissingExtraError("ctranslate2", "engines", "the engine ctranslate2") from None
        self.slots, self.capacity = slots, min(capacity or model.settings.context, model.settings.context)
        self.names = vocabulary(model.tokenizer, model.settings.vocab_size)
        self.jobs: deque[_Job] = deque()
        self.wake = threading.Condition()
        self.closing = False
        self.folder = Path(tempfile.mkdtemp(prefix="inkstone-ctranslate2-"))
        try:
            write_ctranslate2(model, self.folder / "model", dtype)
            self.generator: Any = ctranslate2.Generator(str(self.folder / "model"), intra_threads=threads)
        finally:  # it is in memory, or it will not be
            shutil.rmtree(self.folder, ignore_errors=True)
        self.thread = threading.Thread(target=self._run, name="ctranslate2", daemon=True)
        self.thread.start()

    def write(self, asked: Asked, hear: Hear) -> Ended:
        """As `ForeignEngine.write`. At a temperature above 0 no log-probabilities are told: those known are of what is drawn."""
        job = _Job(asked, hear)
        with self.wake:
            if self.closing:
                raise ForeignEngineError("ctranslate2 is closing")
            self.jobs.append(job)
            self.wake.notify()
        job.done.wait()
        if job.error is not None:
            raise ForeignEngineError(f"ctranslate2: {job.error}")
        assert job.ended is not None
        return job.ended

    def close(self) -> None:
        """As `ForeignEngine.close`."""
        with self.wake:
            self.closing = True
            self.wake.notify()
        self.thread.join()
        self.generator.unload_model()

    def _run(self) -> None:
        while batch := self._batch():
            try:
                self._write(batch)
            except Exception as error:
                for job in batch:
                    job.error = error
            for job in batch:
                job.done.set()

    def _batch(self) -> list[_Job]:
        """The next texts, alike; none when it is closing and nothing is left."""
        with self.wake:
            self.wake.wait_for(lambda: self.jobs or self.closing)
            if not self.jobs:
                return []
            if not self.closing:
                self.wake.wait_for(lambda: len(self.jobs) >= self.slots or self.closing, timeout=GATHER)
            first = self.jobs[0]
            batch = [job for job in self.jobs if job.alike == first.alike][: self.slots]
            self.jobs = deque(job for job in self.jobs if job not in batch)
            return batch

    def _write(self, batch: list[_Job]) -> None:
        a = batch[0].asked
        greedy = a.temperature == 0
        known = greedy and a.repetition_penalty == 1

        def told(step: Any) -> bool:
            """One token of one text; whether that text is to stop. It must not raise: C++ waits for it."""
            job = batch[step.batch_id]
            try:
                job.count += 1
                enough = job.hear(Token(step.token_id, step.log_prob)) if known else job.hear(Token(step.token_id))
                job.ended = "stopped" if enough else "length" if job.count >= job.asked.most else None
            except Exception as error:
                job.error = error
            return job.ended is not None or job.error is not None

        lengths = [len(job.asked.prompt) for job in batch]
        self.generator.generate_batch(
            [[self.names[number] for number in job.asked.prompt] for job in batch],
            # Longer prompts are read on while shorter ones are written after, step by step.
            max_length=max(n + job.asked.most for n, job in zip(lengths, batch, strict=True)) - min(lengths),
            sampling_topk=1 if greedy else a.top_k,
            sampling_topp=1.0 if greedy else a.top_p,
            sampling_temperature=1.0 if greedy else a.temperature,
            repetition_penalty=a.repetition_penalty,
            end_token=sorted(a.ends),
            include_prompt_in_result=False,
            return_scores=known,
            callback=told,
        )
        for job in batch:
            job.ended = job.ended or "end"
