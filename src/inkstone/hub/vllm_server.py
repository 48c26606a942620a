"""vLLM as an engine: `vllm serve` on the exported folder as a process of its own, asked over HTTP on this machine.

It is not installed with Inkstone: it wants a PyTorch of its own, and mostly a GPU. Where the command `vllm` is found, a
run is exported for it, the process started on a free port of 127.0.0.1 with a key that only we know, and ended with us.
Prompts are sent as ids, and tokens told as ids (`return_tokens_as_token_ids` of its completions).
"""

import contextlib
import http.client
import json
import math
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from inkstone.errors import InkstoneError
from inkstone.files import write_json
from inkstone.hub.foreign_engine import Asked, Ended, ForeignEngineError, Hear, Token
from inkstone.hub.huggingface_config import settings_from
from inkstone.tokens.tokenizer import Tokenizer

COMMAND = "vllm"
MODEL = "model"
STARTS = 600.0  # seconds that it may take until it answers: it compiles first
ANSWERS = 600.0  # between two tokens
LIKELIEST = 1  # alternatives that are always asked for: with them come the ids
LARGEST_SEED = 1 << 63
ERROR = re.compile(r"\b\w+(Error|Exception): ")


class MissingEngineError(InkstoneError):
    """An engine that is a program of its own and is not installed."""


def cache_gibibytes(folder: Path, tokens: int) -> int:
    """Whole GiB in which keys and values of so many tokens fit as float32, those of a started page of each text with them."""
    place = folder / "config.json"
    settings = settings_from(json.loads(place.read_text(encoding="utf-8")), place)
    each = 2 * 4 * settings.n_layers * settings.n_kv_heads * settings.head_width
    return max(1, math.ceil(1.25 * each * tokens / 2**30))


class VllmServer:
    """A decoder in vLLM; `folder` is one that transformers opens (`inkstone export --to hf`)."""

    name: ClassVar[str] = "vllm"
    cannot: ClassVar[Mapping[str, str]] = {"constraint": "answers of a given form through this server"}

    def __init__(
        self,
        folder: Path,
        tokenizer: Tokenizer,
        *,
        slots: int = 8,
        capacity: int,
        dtype: str = "auto",
        command: str = COMMAND,
    ):
        """Start the process and wait until it answers.

        Raises MissingEngineError where there is no such command, ForeignEngineError with its last words where it ends.
        """
        found = shutil.which(command)
        if found is None:
            raise MissingEngineError(
                f"the command {command!r} is not found; install vLLM in an environment of its own (its documentation says how "
                "for your hardware) and put that on the PATH, or take --engine llama.cpp"
            )
        self.slots, self.capacity, self.end = slots, capacity, tokenizer.end
        self.key, self.port = secrets.token_hex(16), _free_port()
        self.place = Path(tempfile.mkdtemp(prefix="inkstone-vllm-"))
        self.log = self.place / "log.txt"
        # How a text is drawn is said with each request, so the folder's own settings of generation must not count.
        words = [found, "serve", str(folder), "--host", "127.0.0.1", "--port", str(self.port)]
        words += ["--served-model-name", MODEL, "--max-model-len", str(capacity), "--max-num-seqs", str(slots)]
        words += ["--dtype", dtype, "--generation-config", "vllm", "--max-logprobs", "20"]
        # On a CPU it would take nearly all memory for keys and values, and not start where others have some of it.
        room = {"VLLM_CPU_KVCACHE_SPACE": str(cache_gibibytes(folder, slots * capacity))}
        ours = {"VLLM_API_KEY": self.key, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        write_json(self.place / "command.json", words)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**room, **os.environ, **ours},
                start_new_session=True,  # it has children, which end with it
            )
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def write(self, asked: Asked, hear: Hear) -> Ended:
        """As `ForeignEngine.write`. When the listener has had enough the connection is closed, which ends the text there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWERS)
        try:
            body = json.dumps(self.request(asked))
            connection.request("POST", "/v1/completions", body, self._headers())
            answer = connection.getresponse()
            if answer.status != 200:
                raise ForeignEngineError(f"vllm: {answer.status} {answer.read(2000).decode('utf-8', 'replace')}")
            reason, last = "", -1
            for event in _events(answer):
                if "error" in event:
                    raise ForeignEngineError(f"vllm: {event['error']}")
                for choice in event.get("choices", ()):
                    reason = choice.get("finish_reason") or reason
                    for token in told(choice.get("logprobs") or {}, asked.alternatives):
                        last = token.number
                        if hear(token):
                            return "stopped"
            if not reason:
                raise ForeignEngineError(f"vllm ended in the middle of a text; {self.last_words()}")
            if reason == "stop" and last not in asked.ends and not hear(Token(self.end)):
                return "end"
            return "length" if reason == "length" else "end"
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise ForeignEngineError(f"vllm: {type(error).__name__}: {error}; {self.last_words()}") from None
        finally:
            connection.close()

    def request(self, asked: Asked) -> dict[str, Any]:
        """What its /v1/completions is sent."""
        return {
            "model": MODEL,
            "prompt": list(asked.prompt),
            "max_tokens": asked.most,
            "temperature": asked.temperature,
            "top_k": asked.top_k,
            "top_p": asked.top_p,
            "min_p": asked.min_p,
            "repetition_penalty": asked.repetition_penalty,
            "presence_penalty": asked.presence_penalty,
            "frequency_penalty": asked.frequency_penalty,
            "seed": asked.seed % LARGEST_SEED,
            "logit_bias": {str(number): value for number, value in (asked.bias or {}).items()} or None,
            "stop_token_ids": sorted(asked.ends),
            "ignore_eos": self.end not in asked.ends,
            "logprobs": max(LIKELIEST, asked.alternatives),
            "return_tokens_as_token_ids": True,
            "skip_special_tokens": False,
            "stream": True,
        }

    def close(self) -> None:
        """As `ForeignEngine.close`."""
        if self.process.poll() is None:
            _signal_group(self.process, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                _signal_group(self.process, signal.SIGKILL)
                self.process.wait()
        shutil.rmtree(self.place, ignore_errors=True)

    def last_words(self) -> str:
        """The first error that it logged, whose consequences fill what follows, and the end of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        said = [line for line in lines[:-3] if ERROR.search(line)][:1] + lines[-3:]
        return "its last words: " + (" | ".join(line[-400:] for line in said) or "none")

    def _wait(self) -> None:
        until = time.monotonic() + STARTS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise ForeignEngineError(f"vllm ended while it was starting; {self.last_words()}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/health", headers=self._headers())
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(0.2)
        raise ForeignEngineError(f"vllm did not answer within {STARTS:g} s; {self.last_words()}")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}


def told(logprobs: Mapping[str, Any], alternatives: int) -> list[Token]:
    """The tokens of a choice, which are called "token_id:N" there.

    >>> told({"tokens": ["token_id:5"], "token_logprobs": [-0.5], "top_logprobs": [{"token_id:5": -0.5}]}, 1)
    [Token(number=5, log_probability=-0.5, alternatives=((5, -0.5),))]
    """
    tokens = []
    names, values = logprobs.get("tokens") or [], logprobs.get("token_logprobs") or []
    tops = logprobs.get("top_logprobs") or [None] * len(names)
    for name, value, top in zip(names, values, tops, strict=True):
        likely = sorted(((_number(each), other) for each, other in (top or {}).items()), key=lambda pair: -pair[1])
        tokens.append(Token(_number(name), float("nan") if value is None else value, tuple(likely[:alternatives])))
    return tokens


def _number(name: str) -> int:
    return int(name.removeprefix("token_id:"))


def _events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The server-sent events of a stream."""
    for line in answer:
        data = line.decode("utf-8", "replace").strip().removeprefix("data:").strip()
        if data == "[DONE]":
            return
        if data:
            yield json.loads(data)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _signal_group(process: subprocess.Popen, number: int) -> None:
    """Tell a process and its children; it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
