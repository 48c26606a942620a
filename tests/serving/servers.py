"""Small models, and a server of them on a port of its own."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from inkstone.hub.folder import save
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.serving.house import House
from inkstone.serving.opening import open_served
from inkstone.serving.server import Listening, listen
from inkstone.serving.settings import ServingSettings
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.learning import learn_tokenizer

SPOKEN = ["the ink is black and the paper is white", "一滴墨落在纸上", '{"name": "ink", "n": 12}'] * 4


def small_decoder(context: int = 256, **changes) -> Decoder:
    """A random decoder whose texts have letters rather than noise: the tokenizer knows few tokens."""
    tokenizer = learn_tokenizer(iter(SPOKEN), "byte-bpe", 300)
    shape = {"width": 48, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_width": 12, "hidden": 96}
    settings = DecoderSettings(vocab_size=tokenizer.vocab_size, context=context, **{**shape, **changes})
    model = Decoder(settings, tokenizer)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.initialise(generator).parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def write_decoder(folder: Path, template: str | bool = True, **changes) -> Path:
    """Its folder; with `template` (ChatML, or the source of another) it converses."""
    model = small_decoder(**changes)
    tokenizer = model.tokenizer
    chat = ChatTemplate(template, tokenizer) if isinstance(template, str) else ChatTemplate.chatml(tokenizer)
    save(model, folder, chat if template else None)
    return folder


@dataclass
class Serving:
    """A server that runs, and its models."""

    url: str
    port: int
    house: House
    listening: Listening


@contextmanager
def served(runs: Sequence[str | Path], **settings) -> Iterator[Serving]:
    """A server of these runs in a thread, on a free port of 127.0.0.1."""
    settings = ServingSettings(**{"port": 0, "device": "cpu", "slots": 4, "shutdown_seconds": 5.0, **settings})
    listening = listen([open_served(run, settings) for run in runs], settings)
    thread = threading.Thread(target=listening.run, daemon=True)
    thread.start()
    for _ in range(600):
        if listening.started:
            break
        time.sleep(0.05)
    assert listening.started
    try:
        yield Serving(f"http://127.0.0.1:{listening.port}", listening.port, listening.app.state.house, listening)
    finally:
        listening.stop()
        thread.join(30)
        assert not thread.is_alive()
