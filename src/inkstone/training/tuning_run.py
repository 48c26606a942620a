"""The stages of one tuning run: read, build, train, settle on dev, score, record. `tuning.py` is the way in."""

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch

from inkstone.environment import environment, pick_device
from inkstone.errors import RunError
from inkstone.files import write_json
from inkstone.models.headed import Headed
from inkstone.progress import LiveLine, human_time
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.tasks.base import (
    AsksBeside,
    DoesSoFromTheStart,
    GaugedByLoss,
    HasPredictor,
    HasYardstick,
    KeepsReference,
    ReadsByTemplate,
    Task,
    WritesSamples,
)
from inkstone.tasks.parts import Parts
from inkstone.tasks.predict import Predictor
from inkstone.tokens.example_batches import Encoded, ExampleBatches
from inkstone.training.curves import Gauge
from inkstone.training.interruption import Interruption
from inkstone.training.known_words import begin_at_words, begin_to_be_asked
from inkstone.training.loop import Loop
from inkstone.training.machine import measure_machine
from inkstone.training.placing import let_go
from inkstone.training.planner import Choice
from inkstone.training.tuned_keeping import keep_tuned
from inkstone.training.tuned_model import tuned_model
from inkstone.training.tuned_scores import record_outcome, scores_before, seconds_of_scoring
from inkstone.training.tuning_examples import encode_examples, measure_yardstick, notice_cut, read_examples
from inkstone.training.tuning_plan import plan_steps, threads_for_products
from inkstone.training.what_learns import choose_what_learns

DEFAULT_MINUTES = 5.0
DEV_LOOKED_AT = 2000  # examples of the dev part that are scored while training goes on
Watch = Callable[[int, float], None]  # step, score on dev
# Heads whose scores bfloat16 is good enough for; the likeness of vectors needs more.
SHORT_HEADS = ("class", "token", "span", "next", "text", "ctc")
SHARE_AT_THE_END = 0.1  # of the minutes, for the final scores and the report; more where scoring takes longer,
MOST_AT_THE_END = 0.3  # but no more than this


class TuningRun:
    """The stages of one run, in order; those that an earlier call finished are passed over."""

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        began: float,
        line: LiveLine,
        interruption: Interruption,
        watch: Watch | None,
        resumed: bool,
        task: Task,
    ):
        self.watch = watch
        self.run, self.recipe, self.began = run, recipe, began
        self.line, self.interruption, self.resumed = line, interruption, resumed
        self.before = 0.0  # seconds of earlier calls that this one builds on
        self.task = task
        self.at_the_end = 0.0  # seconds that the final scores will take
        self.short_pays = False  # whether this machine multiplies much faster in bfloat16
        self.fewer_threads: list[Choice] | None = None  # what was chosen of them; None where the number is not open

    def complete(self) -> dict[str, Any]:
        """All stages that are left; returns the outcome."""
        facts = self.run.facts()
        if "outcome" in facts:
            self.line.say(f"{self.run.folder} is complete already")
            return {**facts["outcome"], "folder": str(self.run.folder)}
        self.line.show("measuring this machine", force=True)
        train = self.recipe.train
        machine = measure_machine(pick_device(train.device), train.threads)
        write_json(self.run.folder / "environment.json", environment())
        parts = read_examples(self.run, self.task, self.recipe, self.line)
        timed = train.steps is None and train.threads is None and machine.device == "cpu"
        train.device, train.threads = machine.device, machine.threads
        self.short_pays = machine.device == "cpu" and machine.dtype == "bfloat16"
        torch.set_num_threads(machine.threads)
        if timed and machine.threads > 1:
            train.threads, self.fewer_threads = threads_for_products(machine.threads)
        yardstick = self.yardstick(parts)
        torch.manual_seed(self.recipe.train.seed)
        if "training" in facts:
            predictor = Predictor.load(self.run.folder, machine.device)
            self.task = predictor.task
            self.before += facts["training"]["seconds"]
        else:
            predictor = self.fit(parts, machine.device)
        self.interruption.resume_immediate()
        self.run.record(machine=machine.to_dict())
        return self.conclude(predictor, parts, yardstick)

    def yardstick(self, parts: Parts) -> dict[str, Any] | None:
        """Name and figures of the yardstick, and the seconds that it took; an earlier call may have them already.

        It is trained before the model, so that what is left of the minutes is known.
        """
        if not (self.recipe.task.yardstick and isinstance(self.task, HasYardstick)):
            return None
        if "yardstick" in (facts := self.run.facts()):
            self.before += facts["yardstick"]["seconds"]
            return facts["yardstick"]
        self.line.show("training the yardstick", force=True)
        return measure_yardstick(self.run, self.task, parts, self.recipe.train.seed)

    def elapsed(self) -> float:
        """Seconds that the run has cost so far, those of stages that earlier calls finished included.

        A stage that an earlier call did not finish is done again, and only the second time counts: else a run that was
        stopped while it prepared could be left without the time to train.
        """
        return time.perf_counter() - self.began + self.before

    def left(self) -> float | None:
        """Seconds that training may take from now on; None for a run of so many steps."""
        if self.recipe.train.steps is not None:
            return None
        total = (self.recipe.train.minutes or DEFAULT_MINUTES) * 60
        left = total - min(max(SHARE_AT_THE_END * total, self.at_the_end), MOST_AT_THE_END * total) - self.elapsed()
        if left < 1:
            measured = self.recipe.task.yardstick and isinstance(self.task, HasYardstick)
            raise RunError(
                f"what comes before training took {human_time(self.elapsed())}, and nothing is left of {human_time(total)} to "
                f"train in; {'start a new run with' if self.resumed else 'give'} more minutes"
                + (", or leave the yardstick out: --set task.yardstick=false" if measured else "")
                + (", or the model beside: --set task.blend=false" if self.recipe.task.blend else "")
            )
        return left

    def fit(self, parts: Parts, device: str) -> Predictor:
        """Build the model, train it, and save it."""
        predictor, inputs, choices = self.prepare(parts, device)
        if self.recipe.train.steps is None:
            total = (self.recipe.train.minutes or DEFAULT_MINUTES) * 60
            rough_below = SHARE_AT_THE_END * total
            self.at_the_end = seconds_of_scoring(predictor, parts, self.run.folder, rough_below)
        asked = self.recipe.task.yardstick and self.recipe.task.model
        if asked and isinstance(self.task, DoesSoFromTheStart):
            if "yardstick" in (facts := self.run.facts()):
                self.before += facts["yardstick"]["seconds"]
            else:
                self.line.show("scoring the model as it began", force=True)
                self.run.record(yardstick=scores_before(predictor, parts, self.recipe.train.seed))
        whole = isinstance(self.task, ReadsByTemplate) and self.task.learns_whole()
        factors, learning = choose_what_learns(predictor.model, self.recipe.task, self.recipe.train.seed, whole)
        if self.recipe.train.dtype == "bfloat16":  # as the recipe says, or as an earlier call chose
            predictor.model.to(torch.bfloat16)
        if isinstance(self.task, KeepsReference):
            self.line.show("asking the model as it began", force=True)
            inputs = self.task.with_reference(predictor.model, inputs)
        steps = self.plan(predictor, inputs, choices + learning)
        let_go(self.run.folder)
        batches = ExampleBatches(
            inputs,
            rows=self.recipe.task.rows,
            seed=self.recipe.train.seed,
            tokens=self.recipe.train.batch_tokens,
        )
        loop = self.loop(predictor, parts.dev, batches, steps, factors)
        if loop.resume():
            self.line.say(f"going on from step {loop.position.step}")
            self.before += loop.position.seconds
        loop.run()
        keep_tuned(self.run, self.task, self.recipe.task, predictor, parts.dev, self.line)
        position = loop.position
        self.run.record(
            training={
                "steps": position.step,
                "best_step": position.best_step,
                "tokens": position.tokens,
                "seconds": position.seconds,
                "tokens_per_second": position.tokens / max(position.seconds, 1e-9),
                "epochs": position.step / batches.batches_per_epoch,
                "parameters": predictor.model.n_parameters(),
                "train_loss": loop.curves.train_loss,
                "skipped_steps": position.skipped,
                "rollbacks": position.rollbacks,
            }
        )
        return predictor

    def prepare(self, parts: Parts, device: str) -> tuple[Predictor, list[Encoded], list[Choice]]:
        """The model, the training examples as its inputs, and the choices that led to both."""
        recipe, train = self.recipe, self.recipe.train
        self.line.show("building the model", force=True)
        model, context, choices = tuned_model(recipe, self.task, parts.train, self.run.folder, self.resumed)
        model.to(device)
        own = self.task.predictor(model) if isinstance(self.task, HasPredictor) else None
        predictor: Predictor = own or Predictor(model, self.task, context)
        self.line.show("tokenising the examples", force=True)
        inputs = encode_examples(self.run, self.task, parts, predictor.frame, train, self.line)
        begin = begin_at_words if recipe.task.model is None else begin_to_be_asked
        choices += begin(model.body, inputs, train)
        if isinstance(self.task, AsksBeside):
            if recipe.task.blend:
                self.line.show("learning the model beside", force=True)
            self.task.learn_beside(parts.train, self.run.folder)
        return predictor, inputs, choices

    def plan(self, predictor: Predictor, inputs: list[Encoded], choices: list[Choice]) -> int:
        """Most steps of the run; recorded and said with all choices, but where an earlier call has done so."""
        recipe = self.recipe
        open_threads = self.fewer_threads is not None
        steps, each, more = plan_steps(
            recipe,
            self.task,
            predictor.model,
            inputs,
            self.left(),
            fewer_threads=open_threads,
            short=self.short_pays
            and recipe.train.dtype == "auto"
            and predictor.model.head.kind in SHORT_HEADS
            and not isinstance(self.task, KeepsReference),
        )
        choices = [*choices, *(self.fewer_threads or []), *more]
        if planned := self.run.facts().get("plan"):
            return planned["steps"]
        recipe.save(self.run.recipe_path)
        plan = {"steps": steps, "seconds_a_step": each, "context": predictor.frame.context}
        self.run.record(plan=plan | {"choices": [vars(choice) for choice in choices]})
        for choice in choices:
            self.line.say(f"plan  {choice.name}: {choice.value} ({choice.why})")
        return steps

    def loop(
        self,
        predictor: Predictor,
        dev: list[Any],
        batches: ExampleBatches,
        steps: int,
        factors: Mapping[str, float] | None,
    ) -> Loop:
        """The training loop, which scores a part of dev after each epoch."""
        train = self.recipe.train
        train.evaluate_steps = train.evaluate_steps or min(batches.batches_per_epoch, max(1, steps // 2))
        chosen = np.random.default_rng(train.seed).permutation(len(dev))[:DEV_LOOKED_AT]
        looked_at = [dev[number] for number in np.sort(chosen)]

        by_loss = isinstance(self.task, GaugedByLoss)
        inputs = predictor.taught(looked_at) if by_loss else []
        if isinstance(self.task, KeepsReference):
            inputs = self.task.with_reference(predictor.model, inputs)

        def score(model: torch.nn.Module) -> float:
            if by_loss:
                value = predictor.nats_a_token(inputs)
            else:
                value = self.task.measures(looked_at, predictor.answers(looked_at))[self.task.score].value
            model.train()
            if self.watch is not None:
                self.watch(loop.position.step, -value if by_loss else value)
            return value

        loop = Loop(
            predictor.model,
            lambda model, batch, generator, progress: self.task.loss(cast(Headed, model), cast(Any, batch), generator),
            cast(Any, batches),
            1,
            train,
            self.run,
            seconds=self.left(),
            held_out=score,
            gauge=Gauge.of_nats(getattr(self.task, "counted_in", "token"))
            if by_loss
            else Gauge.of_task(self.task.score),
            line=self.line,
            interruption=self.interruption,
            patience=self.recipe.task.patience,
            # Not the steps that were foreseen: a machine that was busy then may have time for more.
            most_steps=self.recipe.task.epochs * batches.batches_per_epoch,
            rate_factors=factors,
        )
        return loop

    def conclude(self, predictor: Predictor, parts: Parts, yardstick: dict[str, Any] | None) -> dict[str, Any]:
        """Score dev and test, with the yardstick beside them; record what came of the run."""
        self.line.show("scoring", force=True)
        answers = {}
        for part, examples in parts.scored().items():
            answers[part] = predictor.answers(examples)
            notice_cut(self.run, parts, part, predictor.cut, predictor.frame.context, self.line)
        if isinstance(self.task, WritesSamples):
            self.line.show("writing samples", force=True)
            self.run.record(samples=self.task.samples(predictor.model, parts.dev))
        yardstick = yardstick or self.run.facts().get("yardstick")
        outcome = record_outcome(
            self.run, self.task, parts, answers, yardstick, self.recipe.train.seed, seconds=self.elapsed
        )
        self.line.clear()
        return outcome
