"""llama.cpp as an engine, by its bindings xllamacpp: a decoder goes in as GGUF, and its server writes in this process.

Several texts are written at once in slots, as llama.cpp batches them, and beginnings that were read before are not read
again. Its server tells a token only when the character that it ends is whole; the tokens before it within that character
are found by their bytes (`hidden_tokens.py`), their log-probabilities are not known. Where the bytes are no UTF-8, as a model
that has learned nothing writes them, those tokens are left out.

A text ends too at a token that llama.cpp itself takes for an end, such as `<|im_end|>`.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from inkstone.errors import MissingExtraError
from inkstone.hub.foreign_engine import Asked, Ended, ForeignEngineError, Hear, Token
from inkstone.hub.gguf_file import write_gguf
from inkstone.hub.hidden_tokens import spelled_by
from inkstone.models.decoder import Decoder
from inkstone.tokens.chat_template import ChatTemplate

SEEDS = 1 << 32
LIKELIEST = 1  # alternatives that are always asked for: with them come the ids


class LlamaCpp:
    """A decoder in llama.cpp. `dtype` is one of `gguf_file.DTYPES`."""

    name: ClassVar[str] = "llama.cpp"
    cannot: ClassVar[Mapping[str, str]] = {"constraint": "answers of a given form"}

    def __init__(
        self,
        model: Decoder,
        *,
        slots: int = 8,
        capacity: int | None = None,
        dtype: str = "float32",
        threads: int = 0,
        template: ChatTemplate | None = None,
    ):
        """Write the model as GGUF into a folder of its own, and open it.

        Raises RunError for a model that llama.cpp cannot run, MissingExtraError without its bindings, ForeignEngineError
        where it does not open the file.
        """
        try:
            import xllamacpp as bindings
        except ImportError:
            raise MissingExtraError("xllamacpp", "engines", "the engine llama.cpp") from None
        self.slots, self.capacity = slots, min(capacity or model.settings.context, model.settings.context)
        self.tokenizer = model.tokenizer
        spelling = model.tokenizer.spelling or []
        special = model.tokenizer.special_ids
        self.ids = {word: number for number, word in enumerate(spelling) if number not in special}
        self.spelling = spelling
        self.folder = Path(tempfile.mkdtemp(prefix="inkstone-llama-cpp-"))
        try:
            path = self.folder / "model.gguf"
            write_gguf(model, path, "model", dtype, template)
            xllamacpp: Any = bindings
            parameters = xllamacpp.CommonParams()
            parameters.model.path = str(path)
            parameters.n_ctx, parameters.n_parallel = slots * self.capacity, slots
            parameters.kv_unified = False  # a part of the context for each text
            parameters.n_predict = self.capacity
            parameters.ctx_shift = parameters.warmup = parameters.fit_params = False
            parameters.verbosity = 0
            parameters.enable_chat_template = False  # conversations come as ids
            if threads:
                parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
            self.server: Any = xllamacpp.Server(parameters)
        except RuntimeError as error:
            self.close()
            raise ForeignEngineError(f"llama.cpp does not open the model ({error})") from None
        except BaseException:
            self.close()
            raise

    def write(self, asked: Asked, hear: Hear) -> Ended:
        """As `ForeignEngine.write`."""
        told = _Told(self, asked, hear)
        self.server.handle_completions(self.request(asked), told.chunk)
        if told.error is not None:
            raise ForeignEngineError(f"llama.cpp: {told.error}")
        return told.ended()

    def request(self, asked: Asked) -> dict[str, Any]:
        """What its server is sent. The order of the filters is ours."""
        return {
            "prompt": list(asked.prompt),
            "n_predict": asked.most,
            "temperature": asked.temperature,
            "top_k": asked.top_k,
            "top_p": asked.top_p,
            "min_p": asked.min_p,
            "repeat_penalty": asked.repetition_penalty,
            "presence_penalty": asked.presence_penalty,
            "frequency_penalty": asked.frequency_penalty,
            "repeat_last_n": self.capacity,  # all that was read
            "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
            "seed": asked.seed % SEEDS,
            "logit_bias": [[number, value] for number, value in (asked.bias or {}).items()],
            "logprobs": max(LIKELIEST, asked.alternatives),
            "timings_per_token": True,  # with them the number of tokens so far
            "cache_prompt": True,
            "stream": True,
        }

    def close(self) -> None:
        """As `ForeignEngine.close`."""
        self.server = None
        shutil.rmtree(self.folder, ignore_errors=True)


class _Told:
    """What the server says of one text, as tokens."""

    def __init__(self, engine: LlamaCpp, asked: Asked, hear: Hear):
        self.engine, self.asked, self.hear = engine, asked, hear
        self.count = 0  # tokens that were written, those within a character included
        self.reason: str | None = None
        self.enough = False
        self.error: object = None

    def chunk(self, event: Any) -> bool:
        """One event of the server; whether it is to stop. It must not raise: C++ waits for it."""
        try:
            self._read(event)
        except Exception as error:
            self.error = error
        return self.enough or self.error is not None

    def _read(self, event: dict[str, Any]) -> None:
        if "error" in event:
            self.error = event["error"].get("message", event["error"])
            return
        choice = event["choices"][0]
        self.reason = choice["finish_reason"] or self.reason
        for told in (choice["logprobs"] or {}).get("content", ()):
            written = event.get("timings", {}).get("predicted_n", self.count + 1)
            for number in self._hidden(choice["text"], told["id"], written - self.count - 1):
                self._hear(Token(number))
            self.count = written
            likely = tuple((each["id"], each["logprob"]) for each in told["top_logprobs"])
            self._hear(Token(told["id"], told["logprob"], likely[: self.asked.alternatives]))

    def _hidden(self, text: str, last: int, count: int) -> tuple[int, ...]:
        data, ending = text.encode(), self.engine.spelling[last]
        if count <= 0 or "\ufffd" in text or not data.endswith(ending):
            return ()
        return spelled_by(data[: len(data) - len(ending)], count, self.engine.ids) or ()

    def _hear(self, token: Token) -> None:
        self.enough = self.enough or self.hear(token)

    def ended(self) -> Ended:
        """Why the text ended."""
        if self.enough:
            return "stopped"
        return "length" if self.reason == "length" else "end"
