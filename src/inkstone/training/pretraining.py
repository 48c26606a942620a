"""`inkstone train`: text and minutes in, a language model in a run folder out."""

import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from inkstone.environment import environment, pick_device
from inkstone.errors import RecipeError, RunError
from inkstone.evaluation.affordable import affordable
from inkstone.evaluation.evaluate import window_of
from inkstone.evaluation.likelihood import score
from inkstone.evaluation.report import report as write_report
from inkstone.files import write_json
from inkstone.hub.folder import load, save
from inkstone.models import family as family_of
from inkstone.models.base import CountedModel
from inkstone.progress import LiveLine, human_count, human_time
from inkstone.recipe import Recipe
from inkstone.run import Run, is_training
from inkstone.tasks.language_modelling import training_loss
from inkstone.text.sources import STANDARD_INPUT
from inkstone.tokens.batches import Batches
from inkstone.tokens.shards import TokenShards
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.training.concluding import SCORING_SHARE, conclude
from inkstone.training.curves import Gauge, tensorboard_writer_class
from inkstone.training.fitting import batches_of, begin, count, facts_of
from inkstone.training.interruption import Interruption
from inkstone.training.loop import Loop
from inkstone.training.machine import Machine, measure_machine
from inkstone.training.opening import check_places, gone_on_with, recipe_of
from inkstone.training.placing import let_go, new_run
from inkstone.training.planner import Plan, make_plan, plan_counts, predict_bits_per_byte
from inkstone.training.preparing import prepare, prepared
from inkstone.training.readings import most_steps, weights_that_repeat
from inkstone.training.sizing import LADDER, given_settings, settings_for
from inkstone.training.supervision import supervised
from inkstone.vectors.formats import file_of, promised

DEFAULT_MINUTES = 5.0
DEFAULT_SOURCE = "python:"
SHARE_OF_SAMPLES = 0.02
FIXED_SECONDS = 1.5  # saving, the report
PERIODIC_TOKENS = 8192  # of held-out text scored while training goes on


def train(
    text: Sequence[str] = (),
    *,
    minutes: float | None = None,
    family: str | None = None,
    held_out: Sequence[str] = (),
    out: str | Path | None = None,
    recipe: str | Path | None = None,
    settings: Sequence[str] = (),
    resume: str | Path | None = None,
    fresh: bool = False,
    quiet: bool = False,
    began: float | None = None,
) -> dict[str, Any]:
    """Train a language model on text and leave it in a run folder, everything included in `minutes` of wall clock.

    text: files, folders, "data:NAME", "-" for standard input; none: the prose that ships with Python.
    family: the kind of model, one of `inkstone.models.FAMILIES`; by default a Transformer decoder.
    held_out: text to score on, named as `text` is; none: a part of the text is kept aside.
    out: the run folder; by default runs/NAME, numbered where that is taken. `fresh` replaces a run that stands there.
    recipe, settings: a TOML file and "section.key=value" overrides; what they leave open the planner chooses.
    resume: a run folder to go on with; nothing else may then be given.
    began: `time.perf_counter()` of the moment from which the minutes count; by default now.

    Returns the outcome: folder, bits per byte with interval, yardsticks, steps, tokens, seconds.
    Raises TextError, RecipeError, RunError; `Interrupted` on Ctrl-C and SIGTERM, after the state is saved.
    """
    began = time.perf_counter() if began is None else began
    line = LiveLine(quiet=quiet)
    if resume is not None:
        given = (text, held_out, recipe, settings, family, fresh)
        if any(given) or out is not None or minutes is not None:
            raise RecipeError("--resume goes on with a run as it is; give no TEXT and no other settings beside it")
        run = Run.open(resume)
        if not is_training(run.recipe()):
            raise RunError(f"{run.folder} is no run of `inkstone train`; go on with it by `{run.resuming()}`")
        with gone_on_with(run):
            return _train(run, run.recipe(), began, line, resumed=True)
    options = [("--minutes", "train.minutes", minutes), ("--family", "model.family", family)]
    chosen = recipe_of(recipe, settings, options, DEFAULT_MINUTES)
    if text or not chosen.text.sources:
        chosen.text.sources = [str(source) for source in text] or [DEFAULT_SOURCE]
    if held_out:
        chosen.text.held_out_sources = [str(source) for source in held_out]
    check(chosen)
    with new_run(out, chosen, fresh) as run:
        return _train(run, chosen, began, line, resumed=False)


def check(recipe: Recipe) -> None:
    """Refuse, before any work is done, what could only fail later. Raises RecipeError, TextError, RunError, MissingExtraError."""
    kind = family_of(recipe.model.family)
    if recipe.train.vectors:
        if not hasattr(kind.Settings, "of_size"):
            raise RecipeError(
                f"train.vectors = {recipe.train.vectors!r}: the family {kind.family!r} is counted and has no embedding to "
                "begin at word vectors; leave it out, or take a family that is learned by gradient"
            )
        promised(file_of(recipe.train.vectors))
    # A model that carries a state reads with it, not by the function that would be compiled.
    if recipe.train.compile and (not hasattr(kind, "hidden") or hasattr(kind, "carried_state")):
        raise RecipeError(
            f"train.compile = true: the family {kind.family!r} does not learn by the function that would be compiled; leave it out"
        )
    if hasattr(kind.Settings, "for_text"):
        given_settings(recipe)
    else:
        settings_for(recipe, recipe.tokenizer.vocab_size or 512, *LADDER[0])
    pick_device(recipe.train.device)
    check_places(recipe)
    if recipe.train.tensorboard:
        tensorboard_writer_class()


def left_for_training(seconds: float) -> float:
    """Of the seconds that a run still has those that training may take: what comes after it takes the others."""
    return seconds - max(0.0, seconds) * (SCORING_SHARE + SHARE_OF_SAMPLES) - FIXED_SECONDS


def seconds_of_trial(left: float | None) -> float:
    """How long steps are timed before training that has so many seconds left; None: as many as it takes."""
    return 0.0 if left is None else min(5.0, 0.02 * left)


def _train(run: Run, recipe: Recipe, began: float, line: LiveLine, resumed: bool) -> dict[str, Any]:
    with supervised(run, "train", resumed) as interruption:
        return Training(run, recipe, began, line, interruption, resumed).complete()


class Training:
    """The stages of one run, in order; those that an earlier call finished are passed over.

    What a run does otherwise that goes on with a model (`adapting`) is in the methods that it has instead.
    """

    def __init__(
        self, run: Run, recipe: Recipe, began: float, line: LiveLine, interruption: Interruption, resumed: bool
    ):
        self.run, self.recipe, self.began = run, recipe, began
        self.line, self.interruption, self.resumed = line, interruption, resumed
        self.before = 0.0  # seconds of earlier calls that this one builds on

    def complete(self) -> dict[str, Any]:
        """Go through what is left of the stages; the outcome."""
        facts = self.run.facts()
        if "outcome" in facts:
            if not all((self.run.folder / name).exists() for name in ("report.html", "README.md")):
                write_report(self.run.folder)
            self.line.say(f"{self.run.folder} is complete already")
            return {**facts["outcome"], "folder": str(self.run.folder)}
        machine = self.machine()
        seconds = None if self.recipe.train.steps is not None else (self.recipe.train.minutes or DEFAULT_MINUTES) * 60
        tokenizer, shards, held_out = self.text(machine, seconds)
        settings, seconds = self.plan(tokenizer, shards, held_out, machine, seconds)
        let_go(self.run.folder)
        facts = self.run.facts()
        if "training" in facts:
            model = cast(nn.Module, load(self.run.folder, device=self.recipe.train.device, dtype=torch.float32))
            self.before += facts["training"]["seconds"]
        else:
            model = self.fit(settings, tokenizer, shards, held_out, seconds)
        self.interruption.resume_immediate()
        return self.conclude(model, shards, held_out)

    def text(self, machine: Machine, seconds: float | None) -> tuple[Tokenizer, TokenShards, TokenShards]:
        """The tokenizer, and the text as tokens: training part and held-out part."""
        ready = prepared(self.run, self.line)
        if ready is not None:
            self.before += sum(self.run.facts()["preparation"].values())
            return ready
        if self.resumed and STANDARD_INPUT in self.recipe.text.sources:
            raise RunError(
                f"{self.run.folder}: its text came through standard input and is not whole in the folder; start a new run"
            )
        return self.prepare(machine, seconds)

    def prepare(self, machine: Machine, seconds: float | None) -> tuple[Tokenizer, TokenShards, TokenShards]:
        """Read the text into the run folder."""
        return prepare(self.run, self.recipe, machine, seconds, self.line)

    def machine(self) -> Machine:
        """What this machine can do."""
        self.line.show("measuring this machine", force=True)
        machine = measure_machine(pick_device(self.recipe.train.device), self.recipe.train.threads)
        self.run.record(machine=machine.to_dict())
        write_json(self.run.folder / "environment.json", environment())
        return machine

    def elapsed(self) -> float:
        """Seconds that the run has cost so far, those of stages that earlier calls finished included.

        A stage that an earlier call did not finish is done again, and only the second time counts: else a run that was
        stopped while it prepared could be left without the time to train.
        """
        return time.perf_counter() - self.began + self.before

    def left(self, total: float) -> float:
        """Seconds of `total` that training may take from now on; scoring, samples and the report come after it."""
        return left_for_training(total - self.elapsed())

    def plan(
        self, tokenizer: Tokenizer, shards: TokenShards, held_out: TokenShards, machine: Machine, total: float | None
    ) -> tuple[Any, float | None]:
        """The settings of the model and the seconds of training: planned, or as an earlier call planned them."""
        facts, kind = self.run.facts(), family_of(self.recipe.model.family)
        if "plan" in facts:
            return kind.Settings(**facts["plan"]["settings"]), facts["plan"]["seconds_for_training"]
        self.line.show("planning", force=True)
        left = None
        if total is not None:
            left = self.left(total)
            if left < 1:
                raise RunError(
                    f"preparing the text took {human_time(self.elapsed())}, and nothing is left of "
                    f"{human_time(total)} to train in; {'start a new run with' if self.resumed else 'give'} more minutes"
                )
        plan = self.make_plan(tokenizer, shards, machine, left)
        self.recipe = plan.recipe
        self.recipe.save(self.run.recipe_path)
        self.run.record(plan=plan.to_dict())
        for choice in plan.choices:
            self.line.say(f"plan  {choice.name}: {choice.value} ({choice.why})")
        if "steps" in plan.predicted and plan.seconds is not None:
            times = float(f"{plan.predicted['epochs']:.2g}")
            seconds = min(plan.seconds, plan.predicted["tokens"] / plan.predicted["tokens_per_second"])
            self.line.say(
                f"plan  {human_count(plan.predicted['tokens'], 'tokens')} in {human_time(seconds)}, "
                f"{human_count(times)} times the text"
            )
        return plan.settings, plan.seconds

    def make_plan(self, tokenizer: Tokenizer, shards: TokenShards, machine: Machine, left: float | None) -> Plan:
        """Every choice that is open."""
        if issubclass(family_of(self.recipe.model.family), CountedModel):
            return plan_counts(self.recipe, shards, tokenizer, machine, left)
        return make_plan(self.recipe, shards, tokenizer, machine, left, trial=seconds_of_trial(left))

    def fit(
        self, settings: Any, tokenizer: Tokenizer, shards: TokenShards, held_out: TokenShards, seconds: float | None
    ) -> nn.Module:
        """Train, and save the model. Only what is on the disk as a whole is recorded, so that a kill loses nothing."""
        train = self.recipe.train
        torch.set_num_threads(train.threads or torch.get_num_threads())
        torch.manual_seed(train.seed)
        model = self.first_model(settings, tokenizer, shards)
        if isinstance(model, CountedModel):
            facts = count(model, self.to_count(shards), self.recipe, seconds, self.line)
        else:
            loop = self.loop(model, settings.context, shards, held_out, seconds)
            self.position(loop, settings, seconds)
            loop.run()
            facts = self.facts_of_loop(loop, settings, shards)
        save(cast(nn.Module, model), self.run.folder)
        self.run.record(training=facts)
        shutil.rmtree(self.run.checkpoints, ignore_errors=True)
        return cast(nn.Module, model)

    def first_model(self, settings: Any, tokenizer: Tokenizer, shards: TokenShards) -> Any:
        """The model as it stands before the first step."""
        model = family_of(self.recipe.model.family)(settings, tokenizer)
        return model if isinstance(model, CountedModel) else begin(model, shards, self.recipe, self.line.say)

    def to_count(self, shards: TokenShards) -> list[TokenShards]:
        """All that a model of counts is estimated from."""
        return [shards]

    def batches(self, model: nn.Module, shards: TokenShards, context: int, rows: int) -> Batches:
        """What a model reads that learns by gradient."""
        return batches_of(model, shards, context, rows, self.recipe.train.seed)

    def tokens_per_byte(self, shards: TokenShards) -> float:
        """Of what is read: in this the loss of a token becomes bits per byte."""
        return shards.n_tokens / shards.n_bytes

    def facts_of_loop(self, loop: Loop, settings: Any, shards: TokenShards) -> dict[str, Any]:
        """What is recorded of training by gradient."""
        return facts_of(loop, settings, shards)

    def loop(
        self, model: nn.Module, context: int, shards: TokenShards, held_out: TokenShards, seconds: float | None
    ) -> Loop:
        """The loop over the text, at its first step."""
        train = self.recipe.train
        assert train.micro_batch_tokens and train.batch_tokens
        rows = train.micro_batch_tokens // context
        passes = max(1, train.batch_tokens // context // rows)
        part = affordable(model, PERIODIC_TOKENS, held_out.n_tokens, PERIODIC_TOKENS)
        window = window_of(model)  # type: ignore[arg-type]
        return Loop(
            model,
            training_loss,
            self.batches(model, shards, context, rows),
            passes,
            train,
            self.run,
            seconds=seconds,
            held_out=lambda m: score(m, held_out.documents(), window=window, **part).bits_per_byte,  # type: ignore[arg-type]
            gauge=Gauge.bits_per_byte(self.tokens_per_byte(shards) / math.log(2)),
            line=self.line,
            interruption=self.interruption,
            most_steps=None if seconds is None else self.most_steps(model, shards),
        )

    def most_steps(self, model: nn.Module, shards: TokenShards) -> int | None:
        """Steps after which more would only be learned by heart: by then the learning rate has fallen, whatever time is left.

        None for a model with a loss of its own.
        """
        weights = weights_that_repeat(model)
        if weights is None:
            return None
        new = (1 - (self.recipe.task.replay or 0.0)) * (self.recipe.train.batch_tokens or 1)
        return most_steps(weights, shards.n_tokens, new)

    def position(self, loop: Loop, settings: Any, seconds: float | None) -> None:
        """Bring the loop to where the run stands, and give it the time that is left."""
        if loop.resume():
            self.line.say(f"going on from step {loop.position.step}")
            self.before += loop.position.seconds
        elif self.resumed:
            self.line.say("no checkpoint is there: training begins at the first step")
        if loop.position.step == 0:
            self.expect(loop, settings)
        if seconds is not None:  # what came after planning is paid from training, so that the promise holds
            total = (self.recipe.train.minutes or DEFAULT_MINUTES) * 60
            loop.seconds = max(min(seconds, self.left(total) + loop.position.seconds), 0.5 * seconds)

    def expect(self, loop: Loop, settings: Any) -> None:
        """Score the model before its first step, and say from that what it should reach."""
        begin = loop.held_out(loop.model)
        loop.curves.held_out(loop.position, begin)
        facts = self.run.facts()["plan"]
        predicted = facts["predicted"]
        if self.recipe.model.family != "decoder":  # the constants of the prediction come from runs of decoders
            predicted |= {"bits_per_byte_at_the_start": begin}
            self.run.record(plan=facts)
            return
        work = predicted["tokens"] * settings.flops_per_token()
        expected = predict_bits_per_byte(begin, self.recipe.train.start, work, predicted["epochs"])
        predicted |= {"bits_per_byte": expected, "bits_per_byte_at_the_start": begin}
        self.run.record(plan=facts)
        self.line.say(
            f"plan  {begin:.2f} bits per byte before the first step, about {expected:.2f} expected at the end"
        )

    def conclude(self, model: nn.Module, shards: TokenShards, held_out: TokenShards) -> dict[str, Any]:
        """Score, sample, report."""
        conclude(self.run, self.recipe, model, shards, held_out, self.line, self.elapsed)
        return self.run.facts()["outcome"]
