"""The rules of the planner: how large, how long, how fast, as functions of the work that a run can do and of its text.

Work is counted in floating-point operations: the measured speed of this machine times the seconds of training.
"""

import math
from dataclasses import fields
from typing import Any

from inkstone.errors import RecipeError, nearest
from inkstone.models import family
from inkstone.models.decoder import DecoderSettings
from inkstone.models.encoder import EncoderSettings
from inkstone.progress import human_bytes
from inkstone.recipe import ModelSection, Recipe
from inkstone.training.bigram_start import LARGEST_VOCABULARY
from inkstone.training.machine import Machine
from inkstone.training.muon import orthogonalisation_work

# (width, layers): each about one and a half times the work of the one before.
LADDER = (
    (64, 2), (96, 3), (128, 4), (160, 4), (192, 4), (224, 5), (256, 6), (320, 6), (384, 7), (448, 8), (512, 9),
    (576, 11), (640, 13), (768, 14), (896, 16), (1024, 18), (1280, 20), (1536, 24), (2048, 28),
)  # fmt: skip
UTILISATION = 0.6  # share of the measured peak that a whole step reaches
WORK_OF_STEPS = 1e13  # what a run of so many steps is shaped for
TOKENS_PER_WEIGHT = 1.5  # seen by each matrix weight before a larger model serves better
WEIGHTS_PER_TOKEN = 12.0  # of different text; more would only be learned by heart
BYTES_OF_WEIGHT = 16  # itself, its gradient, and what the optimiser keeps
BYTES_OF_STATE = 56  # of each number of a layer's width at each position, kept for the way back
MUON_SHARE = 0.08  # of a step's time that Muon may cost
# The time of an operation of Muon's products to that of one of the rest of a step: of a CPU by the number format of these products, on one
# core at widths of 96 to 256, where there is nothing between them; on a GPU it is taken to be the same.
MUON_PACE = {"bfloat16": 0.4, "float32": 0.7, "cuda": 1.0}


def budget(machine: Machine, seconds: float | None) -> float:
    """Floating-point operations that training can do.

    A run of so many steps takes as long as it takes; so that it can be made again anywhere, no measurement enters.
    """
    if seconds is None:
        return WORK_OF_STEPS
    return UTILISATION * machine.matmul_gflops[machine.dtype] * 1e9 * seconds


def vocabulary_for(work: float, train_bytes: int) -> tuple[int, str]:
    """How many tokens the tokenizer should have, and which of text and time bounds it.

    A larger vocabulary shortens the text, which is worth more than any layer; but each token must be seen often enough
    to be learned, and its row in the output matrix costs time at every position.
    """
    by_text = 2 ** round(math.log2(max(train_bytes, 1) / 700))
    by_time = 2 ** round(math.log2(2048 * (work / 8e12) ** 0.4))
    return max(512, min(by_text, by_time, 65_536)), "the amount of text" if by_text < by_time else "the time"


def shape_for(recipe: Recipe, vocab_size: int, work: float, tokens: int) -> tuple[Any, str]:
    """The settings of the largest shape on the ladder that still sees enough tokens for its weights, and why that one."""
    best = settings_for(recipe, vocab_size, *LADDER[0])
    reason = "the smallest there is"
    for width, layers in LADDER[1:]:
        settings = settings_for(recipe, vocab_size, width, layers)
        weights = settings.matrix_parameters()
        seen = work / settings.flops_per_token()
        if seen < TOKENS_PER_WEIGHT * weights:
            break
        if weights > WEIGHTS_PER_TOKEN * tokens:
            return best, f"more would only learn {tokens:,} tokens by heart"
        best, reason = settings, f"it will see {seen / weights:.1f} tokens for each of its weights"
    return best, reason


def settings_for(recipe: Recipe, vocab_size: int, width: int, layers: int) -> Any:
    """The settings of a model of the recipe's family, of this width and depth where the recipe leaves them open."""
    given = given_settings(recipe)
    if recipe.model.family == "decoder":
        given.setdefault("tied", start_for(recipe, vocab_size) != "bigrams")
    return family(recipe.model.family).Settings.of_size(vocab_size, width, layers, **given)


def given_settings(recipe: Recipe) -> dict[str, Any]:
    """What the recipe says of the model. Raises RecipeError for a setting that its family does not have."""
    given = recipe.model.model_dump(exclude_none=True, exclude={"family"})
    known = [field.name for field in fields(family(recipe.model.family).Settings)]
    for name in given:
        if name not in known:
            raise RecipeError(
                f"model.{name}: the family {recipe.model.family!r} has no such setting; {nearest(name, known)}"
            )
    return given


def refuse_too_large(settings: Any, machine: Machine) -> None:
    """Raises RecipeError where even a single row of one context cannot be trained in this machine's memory."""
    weights = BYTES_OF_WEIGHT * settings.matrix_parameters()
    context, layers = getattr(settings, "context", 1), getattr(settings, "n_layers", 1)
    states = BYTES_OF_STATE * context * layers * settings.width
    if weights + states > machine.memory_bytes:
        raise RecipeError(
            f"a model of width {settings.width}, {layers} layers and context {context} needs more than "
            f"{human_bytes(weights + states)} of memory to be trained, and here are {human_bytes(machine.memory_bytes)}; "
            "set a smaller model.width, model.n_layers or model.context"
        )


def start_for(recipe: Recipe, vocab_size: int) -> str:
    """Counted bigrams where the table is small and the layout lets the last token alone decide, else chance; and chance
    where the embedding begins at word vectors.

    Raises RecipeError where the recipe asks for bigrams in a model that cannot hold them.
    """
    model, wanted = recipe.model, recipe.train.start
    if recipe.train.vectors:
        if wanted == "bigrams":
            raise RecipeError(
                f"train.start = 'bigrams' and train.vectors = {recipe.train.vectors!r} both say where the embedding begins; "
                "leave one of them out"
            )
        return "random"
    layout = model.layout or "qwen3"
    fits = (
        model.family == "decoder" and layout != "gpt2" and model.tied is not True and vocab_size <= LARGEST_VOCABULARY
    )
    if wanted == "bigrams" and not fits:
        raise RecipeError(
            f"train.start = 'bigrams' needs an untied decoder in the qwen3 or llama layout with at most "
            f"{LARGEST_VOCABULARY} tokens, not {model.family} in layout {layout!r}, tied = {model.tied}, {vocab_size} tokens"
        )
    if wanted != "auto":
        return wanted
    return "bigrams" if fits else "random"


def batch_tokens_for(work: float, context: int, tokens: int) -> int:
    """Tokens of one step: few for a short run, whose number of steps counts for more than their precision."""
    wanted = 2 ** round(math.log2(min(max(1024 * (work / 8e12) ** 0.4, 512), 524_288)))
    return max(context, min(wanted, tokens // 8))


def dropout_for(epochs: float) -> float:
    """None while the text is new, more the more often it is read."""
    return 0.0 if epochs < 2 else 0.1 if epochs < 12 else 0.2


def optimizer_for(settings: Any, batch_tokens: int, products: str = "float32") -> tuple[str, str]:
    """The optimiser, and why: Muon for a decoder where its orthogonalisation costs little beside the step, and for every encoder.

    `products`: what these products are on, a key of `MUON_PACE`. An encoder must find out what places beside a token say of it before it can learn anything else, from 15 % of the tokens; with
    AdamW that takes many more steps. The recipes of the other families were published with methods of the kind of AdamW.
    """
    if isinstance(settings, EncoderSettings):
        return "muon", "an encoder learns from few of its tokens, and with AdamW needs many more steps"
    if not isinstance(settings, DecoderSettings):
        return "adamw", "as published for this family"
    share = muon_share(settings, batch_tokens, products)
    return ("muon" if share <= MUON_SHARE else "adamw"), f"Muon would take {share:.0%} of each step"


def muon_share(settings: DecoderSettings, batch_tokens: int, products: str = "float32") -> float:
    """Of the time of a step the share that Muon's orthogonalisation would take; `products` as `optimizer_for`."""
    heads = settings.head_width * settings.n_heads
    kv_heads = settings.head_width * settings.n_kv_heads
    width, hidden = settings.width, settings.hidden
    maps = [(heads, width), (kv_heads, width), (kv_heads, width), (width, heads)]
    maps += [(hidden, width)] * (1 if settings.layout == "gpt2" else 2) + [(width, hidden)]
    work = MUON_PACE[products] * settings.n_layers * sum(orthogonalisation_work(*shape) for shape in maps)
    return work / (work + batch_tokens * settings.flops_per_token())


def adam_rate(width: int) -> float:
    """AdamW's learning rate falls as the width grows (Yang et al. 2022, section 3)."""
    return 0.004 * min(1.0, (128 / width) ** 0.5)


def fixed_shape(model: ModelSection) -> bool:
    """Whether the recipe leaves nothing of width and depth open."""
    return bool(model.width and model.n_layers)
