"""The planner: minutes in, every choice out.

It counts the text and measures the machine, and picks vocabulary, depth, width, context, batch and learning rates so
that bits per byte on held-out text is as low as it can be when the time is up. Its rules were fitted to runs on
English and Chinese text (`benchmarks/planning.py` makes them again); each choice can be overridden in the recipe.
"""

import math
import time
from dataclasses import dataclass
from typing import Any

import torch

from inkstone.errors import RecipeError
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.progress import human_bytes, human_count, human_time
from inkstone.recipe import Recipe
from inkstone.tasks.language_modelling import next_token_loss
from inkstone.tokens.batches import Batch, PackedBatches
from inkstone.tokens.shards import TokenShards
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.machine import Machine
from inkstone.training.optimisers import Optimisers

# (width, layers): each about one and a half times the work of the one before.
LADDER = (
    (64, 2), (96, 3), (128, 3), (128, 5), (192, 4), (224, 5), (256, 6), (320, 6), (384, 7), (448, 8), (512, 9),
    (576, 11), (640, 13), (768, 14), (896, 16), (1024, 18), (1280, 20), (1536, 24), (2048, 28),
)  # fmt: skip
EPOCHS_BEFORE_DROPOUT = 6
MOST_EPOCHS = 60
REFERENCE_RATE = 0.02  # of Muon's matrices
WORK_OF_STEPS = 1e13  # floating-point operations that a run of so many steps is shaped for
BYTES_OF_WEIGHT = 16  # itself, its gradient, and what the optimiser keeps
BYTES_OF_STATE = 56  # of each number of a layer's width at each position, kept for the way back


@dataclass
class Choice:
    """One decision and its reason."""

    name: str
    value: Any
    why: str


@dataclass
class Plan:
    """A resolved recipe, why it is so, and what it should lead to."""

    recipe: Recipe
    settings: DecoderSettings
    rows: int  # windows in one pass
    passes: int  # passes in one step
    choices: list[Choice]
    predicted: dict[str, float]
    seconds: float | None

    def to_dict(self) -> dict[str, Any]:
        """As facts of the run."""
        return {
            "minutes": self.recipe.train.minutes,
            "seconds_for_training": self.seconds,
            "rows": self.rows,
            "passes": self.passes,
            "choices": [vars(choice) for choice in self.choices],
            "predicted": self.predicted,
        }


def plan_vocabulary(recipe: Recipe, train_bytes: int, seconds: float | None, machine: Machine) -> Choice:
    """How many tokens the tokenizer should have.

    A larger vocabulary shortens the text, which is worth more than any layer; but each token must be seen often enough
    to be learned, and its row in the output matrix costs time at every position.
    """
    if recipe.tokenizer.vocab_size is not None:
        return Choice("vocabulary", recipe.tokenizer.vocab_size, "given in the recipe")
    work = budget(machine, seconds)
    by_text = 2 ** round(math.log2(max(train_bytes, 1) / 500))
    by_time = 2 ** round(math.log2(1024 * (work / 8e12) ** 0.35))
    size = max(512, min(by_text, by_time, 65_536))
    limit = "of the amount of text" if by_text < by_time else "of the time"
    return Choice(
        "vocabulary", size, f"{human_count(train_bytes)} bytes of text in {describe(seconds)}; bounded by {limit}"
    )


def describe(seconds: float | None) -> str:
    """A stretch of training time in words."""
    return "a fixed number of steps" if seconds is None else human_time(seconds)


def budget(machine: Machine, seconds: float | None) -> float:
    """Floating-point operations that training can do: measured peak, times the share that a real step reaches.

    A run of so many steps takes as long as it takes; so that it can be made again anywhere, no measurement enters.
    """
    if seconds is None:
        return WORK_OF_STEPS
    return 0.7 * machine.matmul_gflops[machine.dtype] * 1e9 * seconds


def shape_for(recipe: Recipe, vocab_size: int, work: float, tokens: int) -> tuple[DecoderSettings, str]:
    """The shape on the ladder whose share of tokens to parameters is right for this much work."""
    model = recipe.model
    best, reason = None, ""
    for width, layers in LADDER:
        settings = decoder_settings(recipe, vocab_size, width, layers)
        seen = work / settings.flops_per_token()
        if best is not None and seen < tokens_wanted(settings.matrix_parameters()):
            break
        if best is not None and seen > tokens and settings.matrix_parameters() > 12 * tokens:
            reason = f"more would only learn {human_count(tokens, 'tokens')} by heart"
            break
        best, reason = settings, f"it will see {seen / settings.matrix_parameters():.1f} tokens for each of its weights"
    assert best is not None
    return best, "given in the recipe" if model.width and model.n_layers else reason


def tokens_wanted(parameters: int) -> float:
    """Tokens that a model of this size should see at least before a larger one serves better."""
    return 1.0 * parameters


def decoder_settings(recipe: Recipe, vocab_size: int, width: int, layers: int) -> DecoderSettings:
    """A decoder of this width and depth, with what the recipe fixes."""
    m = recipe.model
    if m.family != "decoder":
        raise RecipeError(f"model.family = {m.family!r}: this version trains the family 'decoder'")
    width, layers = m.width or width, m.n_layers or layers
    head_width = m.head_width or (width // m.n_heads if m.n_heads else (64 if width >= 256 else 32))
    n_heads = m.n_heads or max(1, width // head_width)
    gpt2 = m.layout == "gpt2"
    if gpt2 and n_heads * head_width != width:
        raise RecipeError(
            f"the gpt2 layout wants width = n_heads · head_width, not {width} and {n_heads} · {head_width}"
        )
    hidden = m.hidden or (4 * width if gpt2 else 32 * round(width * 8 / 3 / 32))
    return DecoderSettings(
        vocab_size=vocab_size,
        width=width,
        n_layers=layers,
        n_heads=n_heads,
        n_kv_heads=n_heads if gpt2 else m.n_kv_heads or n_heads,
        head_width=head_width,
        hidden=hidden,
        context=m.context or context_for(width),
        layout=m.layout,
        tied=m.tied,
        norm_eps=1e-5 if gpt2 else 1e-6,
        dropout=m.dropout or 0.0,
    )


def refuse_too_large(settings: DecoderSettings, machine: Machine) -> None:
    """Raises RecipeError where even a single row of one context cannot be trained in this machine's memory."""
    weights = BYTES_OF_WEIGHT * settings.matrix_parameters()
    states = BYTES_OF_STATE * settings.context * settings.n_layers * settings.width
    if weights + states > machine.memory_bytes:
        raise RecipeError(
            f"a model of width {settings.width}, {settings.n_layers} layers and context {settings.context} needs more than "
            f"{human_bytes(weights + states)} of memory to be trained, and here are {human_bytes(machine.memory_bytes)}; "
            "set a smaller model.width, model.n_layers or model.context"
        )


def context_for(width: int) -> int:
    """A wider model has learned enough of what is near to profit from what is far."""
    return 128 if width < 128 else 256 if width <= 512 else 512 if width <= 768 else 1024


def batch_tokens_for(work: float) -> int:
    """Tokens of one step: small for a short run, whose number of steps counts more than their precision."""
    return int(2 ** round(math.log2(min(max(1024 * (work / 2.5e12) ** 0.35, 512), 524_288))))


def make_plan(
    recipe: Recipe,
    shards: TokenShards,
    tokenizer: Tokenizer,
    machine: Machine,
    seconds: float | None,
    trial: float = 3.0,
) -> Plan:
    """Choose everything that the recipe leaves open; `trial` seconds go into timing real steps of the chosen shape."""
    begin = time.perf_counter()
    train = recipe.train
    tokens = shards.n_tokens
    work = budget(machine, seconds)
    settings, why = shape_for(recipe, tokenizer.vocab_size, work, tokens)
    refuse_too_large(settings, machine)
    if train.steps is not None:
        batch_tokens = train.batch_tokens or max(1024, settings.context)
        work = train.steps * batch_tokens * settings.flops_per_token()
        seconds = None
    batch_tokens = train.batch_tokens or batch_tokens_for(work)
    batch_tokens = max(settings.context, min(batch_tokens, max(settings.context, tokens // 8)))
    choices = [
        Choice("width × layers", f"{settings.width} × {settings.n_layers}", why),
        Choice(
            "context",
            settings.context,
            "given in the recipe" if recipe.model.context else f"fits width {settings.width}",
        ),
        Choice(
            "tokens a step",
            batch_tokens // settings.context * settings.context,
            "given in the recipe" if train.batch_tokens else "few for a short run: the number of steps counts more",
        ),
        Choice(
            "number format",
            machine.dtype if train.dtype == "auto" else train.dtype,
            format_reason(machine, train.dtype),
        ),
    ]
    resolved = recipe.model_copy(deep=True)
    resolved.train.dtype = machine.dtype if train.dtype == "auto" else train.dtype  # type: ignore[assignment]
    resolved.train.device = machine.device
    resolved.train.threads = machine.threads
    rate = train.learning_rate or (REFERENCE_RATE if train.optimizer == "muon" else adam_rate(settings.width))
    resolved.train.learning_rate = rate
    resolved.train.scalar_learning_rate = train.scalar_learning_rate or adam_rate(settings.width)
    resolved.train.weight_decay = 0.0 if train.weight_decay is None else train.weight_decay
    resolved.train.averaging = train.averaging or 0.0
    resolved.train.batch_tokens = batch_tokens
    resolved.train.compile = bool(train.compile)
    choices.append(
        Choice("learning rate", rate, f"{train.optimizer}, for the matrices" if not train.learning_rate else "given")
    )
    rows_in_step = max(1, batch_tokens // settings.context)
    if train.micro_batch_tokens or train.steps is not None:
        rows = max(1, min(rows_in_step, (train.micro_batch_tokens or batch_tokens) // settings.context))
    else:
        rows = rows_in_step
    while rows_in_step % rows:
        rows -= 1
    speed = 0.0
    if train.steps is None:
        rows, speed = fastest_rows(settings, tokenizer, resolved, shards, rows_in_step, begin + trial)
    predicted: dict[str, float] = {}
    if seconds is not None:
        left = max(1.0, seconds - (time.perf_counter() - begin))
        seen = speed * left
        predicted = {"steps": int(seen / (rows_in_step * settings.context)), "tokens": seen, "tokens_per_second": speed}
    else:
        seen = (train.steps or 0) * rows_in_step * settings.context
        predicted = {"steps": train.steps or 0, "tokens": seen}
    epochs = seen / tokens
    if recipe.model.dropout is None:
        dropout = 0.0 if epochs < EPOCHS_BEFORE_DROPOUT else 0.1 if epochs < 3 * EPOCHS_BEFORE_DROPOUT else 0.2
        if dropout:
            settings = DecoderSettings(**{**vars(settings), "dropout": dropout})
            choices.append(Choice("dropout", dropout, f"the text will be read {epochs:.0f} times"))
    for name in ("width", "n_layers", "n_heads", "n_kv_heads", "head_width", "hidden", "context", "dropout"):
        setattr(resolved.model, name, getattr(settings, name))
    resolved.train.micro_batch_tokens = rows * settings.context
    resolved.tokenizer.vocab_size = tokenizer.vocab_size
    predicted["epochs"] = epochs
    predicted["bits_per_byte"] = predict_bits_per_byte(settings, seen, shards)
    return Plan(resolved, settings, rows, rows_in_step // rows, choices, predicted, seconds)


def adam_rate(width: int) -> float:
    """AdamW's learning rate falls as the width grows (Yang et al. 2022, section 3)."""
    return 0.003 * min(1.0, (256 / width) ** 0.5)


def format_reason(machine: Machine, wanted: str) -> str:
    """Why this number format."""
    if wanted != "auto":
        return "given in the recipe"
    rates = machine.matmul_gflops
    return f"measured here: {rates['float32']:.0f} GFLOP/s in float32, {rates.get('bfloat16', 0):.0f} in bfloat16"


def fastest_rows(
    settings: DecoderSettings,
    tokenizer: Tokenizer,
    recipe: Recipe,
    shards: TokenShards,
    rows_in_step: int,
    until: float,
) -> tuple[int, float]:
    """The number of windows in one pass that trains fastest here, and its tokens a second, from timed real steps."""
    generator = torch.Generator().manual_seed(0)
    dtype = torch.bfloat16 if recipe.train.dtype == "bfloat16" else torch.float32
    model = Decoder(settings, tokenizer).initialise(generator).to(recipe.train.device, dtype)
    optimisers = Optimisers(model, recipe.train)
    options = [
        rows for rows in (rows_in_step, rows_in_step // 2, rows_in_step // 4) if rows and rows_in_step % rows == 0
    ]
    best: dict[int, float] = {}
    while not best or time.perf_counter() < until:
        for rows in options:
            batches = PackedBatches(shards, context=settings.context, rows=rows, seed=0)
            begin = time.perf_counter()
            for index in range(rows_in_step // rows):
                batch: Batch = batches.batch(index)
                batch = Batch(batch.ids.to(recipe.train.device), batch.targets.to(recipe.train.device), None)
                next_token_loss(model, batch).backward()
            optimisers.clip(1.0).item()
            optimisers.step(0.0)
            optimisers.zero_grad()
            taken = time.perf_counter() - begin
            if rows in best:
                best[rows] = min(best[rows], taken)
            else:
                best[rows] = float("inf") if not best else taken  # the very first step also warms up
            if time.perf_counter() > until and best[options[0]] < float("inf"):
                break
    rows = min(best, key=lambda number: best[number])
    return rows, rows_in_step * settings.context / best[rows]


def predict_bits_per_byte(settings: DecoderSettings, tokens: float, shards: TokenShards) -> float:
    """What held-out text should cost in the end.

    A fit of the form of Hoffmann et al. (2022, section 3.3), L = E + A/N^α + B/D^β, in bits per byte, with what repeated
    epochs are worth after Muennighoff et al. (2023).
    """
    unique = shards.n_tokens
    epochs = tokens / unique
    worth = tokens if epochs <= 1 else unique * (1 + 15 * (1 - math.exp(-(epochs - 1) / 15)))
    return round(0.9 + 60 / settings.matrix_parameters() ** 0.35 + 95 / worth**0.38, 3)
