"""What a server allows: who may ask, how much, how long, and what is written down of it."""

import os
from dataclasses import dataclass
from pathlib import Path

from inkstone.errors import InkstoneError, nearest

KEYS_VARIABLE = "INKSTONE_API_KEYS"
SHORTEST_KEY = 8  # characters; shorter ones are guessed
OWN_ENGINE = "inkstone"
FLOATS = ("float32", "float16", "bfloat16")
ENGINE_DTYPES = {  # how each engine of others keeps weights
    "llama.cpp": (*FLOATS, "q8_0", "q4_0"),
    "ctranslate2": (*FLOATS, "int8"),
    "vllm": ("auto", *FLOATS),
}
ENGINES = (OWN_ENGINE, *ENGINE_DTYPES)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MEGABYTE = 1 << 20


class ServingError(InkstoneError):
    """A server that cannot be started as it is asked for."""


@dataclass(frozen=True)
class ServingSettings:
    """The settings of a server. Sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0: any that is free
    keys: tuple[str, ...] = ()  # none: who reaches the port may ask
    open: bool = False  # may be reached from elsewhere without keys
    allow_origins: tuple[str, ...] = ()  # pages of other origins whose scripts may ask
    allow_hosts: tuple[str, ...] = ()  # further names by which the server is reached
    largest_request: int = 4 * MEGABYTE
    largest_recording: int = 25 * MEGABYTE
    longest_recording: float = 3600.0
    most_prompt_tokens: int = 32_768
    most_new_tokens: int = 4096
    most_scored_tokens: int = 65_536  # of all texts of a request whose tokens are to be scored
    most_scorings: int = 16  # requests for scores or attention that are under way or wait
    request_seconds: float = 600.0
    receive_seconds: float = 30.0  # for a client to send its request
    most_requests: int = 64  # that are under way at once
    requests_a_minute: int = 0  # of one key; 0: any number
    shutdown_seconds: float = 30.0  # for what is under way when the server is told to stop
    log_content: bool = False  # prompts and answers into the log
    slots: int = 8  # texts that a model writes at once
    longest_queue: int = 256  # texts that wait for a slot of a model
    engine: str = OWN_ENGINE  # what language models write with
    engine_dtype: str | None = None  # of the weights in an engine of others; None: as it likes best
    device: str = "auto"
    precision: str = "auto"  # of the weights that our own engine writes with
    compile: bool = False  # refuse to go without compiled code for decoders
    studio: str | Path | None = None  # the folder of runs, texts and marks; none: where the first run lies

    def __post_init__(self) -> None:
        """Refuse what cannot hold, and what would leave the server open without a word."""
        for name in (
            "largest_request", "largest_recording", "longest_recording", "most_prompt_tokens", "most_new_tokens",
            "most_scored_tokens", "most_scorings", "request_seconds", "receive_seconds", "most_requests", "shutdown_seconds", "slots",
            "longest_queue",
        ):  # fmt: skip
            if getattr(self, name) <= 0:
                raise ServingError(f"{name} = {getattr(self, name)}, but must be above 0")
        if self.engine not in ENGINES:
            raise ServingError(f"there is no engine {self.engine!r}; {nearest(self.engine, ENGINES)}")
        if self.engine_dtype is not None and self.engine == OWN_ENGINE:
            raise ServingError(f"engine_dtype = {self.engine_dtype!r} is of another engine; name that by --engine too")
        if self.engine_dtype is not None and self.engine_dtype not in (known := ENGINE_DTYPES[self.engine]):
            raise ServingError(
                f"engine_dtype = {self.engine_dtype!r}, but the engine {self.engine} keeps weights as {', '.join(known)}"
            )
        if self.engine != OWN_ENGINE and (self.precision != "auto" or self.compile):
            raise ServingError(f"precision and compile are of our own engine; {self.engine} has engine_dtype")
        if not 0 <= self.port < 65536:
            raise ServingError(f"port = {self.port}, but must be from 0 (any that is free) to 65535")
        if self.requests_a_minute < 0:
            raise ServingError(f"requests_a_minute = {self.requests_a_minute}, but must be 0 (any number) or more")
        if any(len(key) < SHORTEST_KEY for key in self.keys):
            raise ServingError(f"an API key has fewer than {SHORTEST_KEY} characters; longer ones cannot be guessed")
        if not self.keys and not self.open and self.host not in LOOPBACK:
            raise ServingError(
                f"host = {self.host!r} lets others in, and there is no API key: name keys in {KEYS_VARIABLE} or by --keys FILE, "
                "or say --open if anyone may ask"
            )


def read_keys(file: Path | str | None) -> tuple[str, ...]:
    """The API keys of the environment, parted by commas, and those of a file, one a line; # begins a comment.

    Raises ServingError for a file that cannot be read or holds none.
    """
    found = [key.strip() for key in os.environ.get(KEYS_VARIABLE, "").split(",")]
    if file is not None:
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ServingError(f"{file}: the API keys cannot be read ({error})") from None
        in_file = [key for line in lines if (key := line.partition("#")[0].strip())]
        if not in_file:
            raise ServingError(f"{file}: holds no API key; write one a line")
        found += in_file
    return tuple(dict.fromkeys(key for key in found if key))
