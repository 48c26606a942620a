"""The model that is tuned: the body of a run or a checkpoint, or a fresh one, and on it the head of the task."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inkstone.errors import CheckpointError, RunError
from inkstone.hub.bert_tasks import pooler_of
from inkstone.hub.download import local_folder
from inkstone.hub.folder import load
from inkstone.models import body_family
from inkstone.models.headed import Headed
from inkstone.models.more_tokens import with_more_tokens
from inkstone.models.quantised_decoder import refuse_rounded
from inkstone.models.whisper import Whisper
from inkstone.recipe import Recipe, TrainSection
from inkstone.tasks.base import KeepsReference, NeedsRoom, NeedsTokens, ReadsByTemplate, SuitsBody, Task
from inkstone.tasks.framing import Frame
from inkstone.tokens.added_tokens import with_tokens
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.conversing import longest_conversation, made_to_converse
from inkstone.training.head_choice import begin_at_head, head_for
from inkstone.training.planner import GIVEN, MUON_RATE, Choice
from inkstone.training.tuning_plan import (
    COVERED,
    LARGEST_VOCABULARY,
    LONGEST_CONTEXT,
    body_that_fits,
    context_for_texts,
    fresh_body,
    learning_rate_for,
    vocabulary_for_examples,
    with_dropout,
)

SHARE_OF_RATE = 0.2  # of the learning rate, where a model is to stay near itself as it began


@dataclass
class Start:
    """What a run begins with: a model that is there, or nothing but a tokenizer."""

    texts: list[str]  # of the examples, as the body is to hold them
    tokenizer: Tokenizer
    longest: int  # tokens that the body may hold
    source: Any = None  # the model that is tuned, its head included
    body: Any = None
    pooler: Any = None
    choices: list[Choice] = field(default_factory=list)


def tuned_model(
    recipe: Recipe, task: Task, examples: Sequence[Any], folder: Path, resumed: bool
) -> tuple[Headed, int, list[Choice]]:
    """Body and head, the context, and the choices that led to them; what they settle is written into the recipe.

    A tokenizer that is learned is kept in the run's `folder`, where a `resumed` call finds it.
    Raises RunError and CheckpointError for a model that cannot be opened, RecipeError for one that no head can stand on.
    """
    train, fresh = recipe.train, recipe.task.model is None
    start = _from_the_start(recipe, task, examples, folder, resumed) if fresh else _opened(recipe, task, examples)
    if isinstance(task, NeedsTokens):
        _add_tokens(start, task)
    unlearned: list[int] = []
    if isinstance(task, ReadsByTemplate):
        where = None if recipe.task.model is None else local_folder(recipe.task.model)
        start.tokenizer, unlearned = task.converse(start.tokenizer, where)
        lengths = task.lengths(examples)
        start.longest = longest_conversation(start.longest if fresh else start.body.settings)
    elif isinstance(task, NeedsRoom):
        lengths = task.tokens_needed(start.tokenizer, examples)
    else:
        lengths = [len(ids) for ids in start.tokenizer.encode_batch(start.texts)]
    context, choice = _context(recipe, task, start, lengths)
    if fresh:
        family = recipe.model.family
        start.body = fresh_body(recipe, family, start.tokenizer, len(examples), context)
        why = f"for {len(examples):,} examples, from the start"
        start.choices.append(Choice("body", f"{family}, {start.body.settings.width} wide", why))
    if isinstance(task, ReadsByTemplate):
        start.body, chosen = made_to_converse(start.body, start.tokenizer, context, unlearned, fresh)
        start.choices += chosen
    start.choices.append(choice)
    head, chosen = head_for(task.head(), recipe.task, start.source)
    model = Headed(start.body, head).initialise_head(torch.Generator().manual_seed(train.seed))
    start.choices += chosen + begin_at_head(model, start.source, start.pooler)
    slower = SHARE_OF_RATE if isinstance(task, KeepsReference) and not recipe.task.lora_rank else 1.0
    return model, context, start.choices + choose_rates(train, start.body, fresh, slower)


def _opened(recipe: Recipe, task: Task, examples: Sequence[Any]) -> Start:
    """The model of a run or a checkpoint."""
    assert recipe.task.model is not None
    source, pooler = load(recipe.task.model, dtype=torch.float32), pooler_of(local_folder(recipe.task.model))
    if isinstance(source, nn.Module):
        refuse_rounded(source, recipe.task.model)
    body = body_that_fits(source, task.name)
    told = f"{body.family}, {body.settings.width} wide, as it was trained"
    dropout = 0.0 if isinstance(task, KeepsReference) else None  # or the model would differ from itself as it began
    body, chosen = with_dropout(body, dropout if recipe.model.dropout is None else recipe.model.dropout)
    longest = min(LONGEST_CONTEXT, getattr(body.settings, "context", LONGEST_CONTEXT))
    choices = [Choice("body", recipe.task.model, told), *chosen]
    return Start(texts_for(body.family, task, examples), body.tokenizer, longest, source, body, pooler, choices)


def _from_the_start(recipe: Recipe, task: Task, examples: Sequence[Any], folder: Path, resumed: bool) -> Start:
    """A tokenizer alone."""
    texts = texts_for(recipe.model.family, task, examples)
    largest = getattr(task, "largest_vocabulary", LARGEST_VOCABULARY)
    return Start(texts, _tokenizer(recipe, texts, folder, resumed, largest), LONGEST_CONTEXT)


def _add_tokens(start: Start, task: NeedsTokens) -> None:
    """Give tokenizer and body the tokens of a task that no text is made of."""
    old = start.tokenizer
    start.tokenizer, new = with_tokens(old, task.tokens)
    if start.body is not None and new:
        names = [name for name in task.tokens if old.backend.token_to_id(name) is None]
        pieces = [old.encode(name) or [old.end] for name in names]
        start.body = with_more_tokens(start.body, start.tokenizer, new[0], pieces)


def _context(recipe: Recipe, task: Task, start: Start, lengths: Sequence[int]) -> tuple[int, Choice]:
    """Tokens of the longest input, and the choice of it in words."""
    probe = Frame.of(start.tokenizer, 1 << 20)
    extra = len(probe.pair_before) + len(probe.pair_between) + len(probe.pair_after)
    kind = body_family(recipe.model.family) if start.body is None else type(start.body)
    any_length, covered = getattr(kind, "longest_input", None), getattr(task, "covered", COVERED)
    context = recipe.model.context or any_length or context_for_texts(lengths, extra, start.longest, covered)
    why = "holds nearly all texts whole"
    if isinstance(start.body, Whisper):
        context, why = start.body.settings.context, "of the longest text that it can write"
    elif any_length:
        why = f"reads up to {any_length:,} {getattr(kind, 'reads', 'tokens')}"
    return context, Choice("context", context, GIVEN if recipe.model.context else why)


def choose_rates(train: TrainSection, body: Any, fresh: bool, slower: float = 1.0) -> list[Choice]:
    """Settle the optimiser, its learning rates, and the weight decay, where the recipe leaves them open.

    Muon takes the matrices of bodies that say so, and only from the start: what was learned before would be gone soon.
    """
    if train.optimizer == "auto":
        train.optimizer = getattr(body, "fresh_optimizer", "adamw") if fresh else "adamw"
    muon = train.optimizer == "muon"
    why = GIVEN if train.learning_rate else f"width {body.settings.width}, {'from the start' if fresh else 'tuned'}"
    rate = slower * learning_rate_for(body, fresh)
    train.learning_rate = train.learning_rate or (getattr(body, "fresh_matrix_rate", MUON_RATE) if muon else rate)
    train.scalar_learning_rate = train.scalar_learning_rate or (rate if muon else train.learning_rate)
    train.weight_decay = 0.01 if train.weight_decay is None else train.weight_decay
    told = [Choice("optimizer", "muon", "of the matrices; AdamW of all else")] if muon else []
    return [*told, Choice("learning rate", float(f"{train.learning_rate:.3g}"), why)]


def texts_for(family: str, task: Task, examples: Sequence[Any]) -> list[str]:
    """The texts of the examples, as a body of this family is to hold them."""
    if isinstance(task, SuitsBody):
        task.suit(family)
    return task.texts(examples)


def _tokenizer(recipe: Recipe, texts: Sequence[str], folder: Path, resumed: bool, largest: int) -> Tokenizer:
    """The one that an earlier call saved, the one that the recipe names, or one that is learned from the examples."""
    section = recipe.tokenizer
    if resumed and (folder / "tokenizer.json").exists():
        try:
            return Tokenizer.load(folder)
        except (CheckpointError, RunError):
            pass
    if section.path:
        return Tokenizer.load(section.path)
    size = section.vocab_size or min(largest, vocabulary_for_examples(texts, section.kind))
    learned = learn_tokenizer(texts, section.kind, size, seed=recipe.train.seed)
    learned.save(folder)
    return learned
