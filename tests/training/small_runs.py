"""Runs that train in a second: a made-up text, a fixed machine, a model of a few thousand weights."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.tiny_runs import byte_tokenizer, texts
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe, TrainSection
from inkstone.run import Run
from inkstone.tasks.language_modelling import training_loss
from inkstone.tokens.batches import PackedBatches
from inkstone.tokens.shards import TokenShards, write_shards
from inkstone.training import pretraining
from inkstone.training.curves import Gauge
from inkstone.training.interruption import Interruption
from inkstone.training.loop import Loop
from inkstone.training.machine import Machine

MACHINE = Machine(
    device="cpu",
    name="a processor",
    cores=1,
    threads=1,
    memory_bytes=8_000_000_000,
    matmul_gflops={"float32": 10.0, "bfloat16": 1.0},
    memory_gb_per_s=5.0,
)

# What `--set` takes so that a whole run lasts a second.
SMALL = (
    "train.steps=20",
    "train.threads=1",
    "train.checkpoint_steps=4",
    "train.evaluate_steps=8",
    "train.batch_tokens=128",
    "model.width=32",
    "model.n_layers=1",
    "model.context=32",
    "tokenizer.vocab_size=300",
)

SYLLABLES = (
    "an",
    "be",
    "cor",
    "dil",
    "en",
    "fa",
    "gor",
    "ha",
    "il",
    "jo",
    "ka",
    "lum",
    "mir",
    "no",
    "os",
    "per",
    "qui",
)


def prose(size: int, seed: int = 0) -> str:
    """About `size` characters of sentences and paragraphs in a language that nobody speaks; no paragraph comes twice."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) for _ in range(400)]
    paragraphs: list[str] = []
    while sum(map(len, paragraphs)) < size:
        sentences = []
        for _ in range(draw.randint(2, 6)):
            sentence = " ".join(draw.choices(words, weights=range(400, 0, -1), k=draw.randint(4, 14)))
            sentences.append(sentence.capitalize() + ".")
        paragraphs.append(" ".join(sentences))
    return "\n\n".join(paragraphs)


@contextmanager
def known_machine() -> Iterator[None]:
    """Runs take `MACHINE` as it is instead of measuring for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "measure_machine", lambda *_: MACHINE)
        yield


def small_train(text: Path, out: Path, *settings: str) -> dict[str, Any]:
    """`train` on a file with `SMALL` and further settings."""
    with known_machine():
        return pretraining.train([str(text)], out=out, settings=[*SMALL, *settings], quiet=True)


def same_weights(folder: Path, other: Path) -> bool:
    """Whether two runs ended in the same model, bit for bit."""
    return (folder / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def small_decoder(seed: int = 0, **settings: Any) -> Decoder:
    """A decoder of 16 numbers a position over bytes."""
    tokenizer = byte_tokenizer()
    shape = {"width": 16, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "head_width": 8, "hidden": 32, "context": 16}
    shape = {"vocab_size": tokenizer.vocab_size, **shape, **settings}
    return Decoder(DecoderSettings(**shape), tokenizer).initialise(torch.Generator().manual_seed(seed))


def train_section(**settings: Any) -> TrainSection:
    """A resolved `train` section."""
    values = {
        "learning_rate": 0.02,
        "scalar_learning_rate": 0.003,
        "weight_decay": 0.0,
        "averaging": 0.0,
        "steps": 10,
        "optimizer": "muon",
    }
    return TrainSection(**{**values, **settings})


def small_shards(folder: Path, documents: Sequence[str] | None = None) -> TokenShards:
    """Shards of bytes."""
    return write_shards([list(documents or texts(60, seed=3))], byte_tokenizer(), folder)


def small_loop(
    folder: Path,
    *,
    loss: Callable[..., torch.Tensor] = training_loss,
    rows: int = 4,
    passes: int = 1,
    seconds: float | None = None,
    model: Decoder | None = None,
    interruption: Interruption | None = None,
    held_out: Callable[[torch.nn.Module], float] = lambda model: 1.0,
    patience: int | None = None,
    **settings: Any,
) -> Loop:
    """A loop over `small_decoder` and `small_shards`, in a run folder of its own (or one that it goes on with)."""
    run = Run.open(folder) if (folder / "recipe.toml").exists() else Run.create(folder, Recipe())
    if not run.train_shards.exists():
        small_shards(run.train_shards)
    shards = TokenShards.open(run.train_shards)
    torch.manual_seed(0)
    return Loop(
        model or small_decoder(),
        loss,
        PackedBatches(shards, context=16, rows=rows, seed=0),
        passes,
        train_section(**settings),
        run,
        seconds=seconds,
        held_out=held_out,
        gauge=Gauge.bits_per_byte(1.0),
        line=LiveLine(quiet=True),
        interruption=interruption or Interruption("stopped"),
        patience=patience,
    )
