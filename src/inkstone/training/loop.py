"""The one training loop: batches in, a trained model out, able to stop and go on at any step."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from inkstone.errors import Interrupted, RecipeError, RunError
from inkstone.files import writing_fault
from inkstone.models.base import CarriesState, NextTokenModel
from inkstone.progress import LiveLine
from inkstone.recipe import TrainSection
from inkstone.run import Run
from inkstone.tokens.batches import Batch, Batches
from inkstone.training.averaging import WeightAverage
from inkstone.training.checkpoints import Checkpoint, list_checkpoints, newest_checkpoint, save_checkpoint
from inkstone.training.curves import Curves, Gauge
from inkstone.training.interruption import Interruption
from inkstone.training.machine import quick_products
from inkstone.training.optimisers import Optimisers
from inkstone.training.schedule import learning_rate_factor

SKIPS_BEFORE_ROLLBACK = 5
EVALUATING_SHARE = 0.05  # of the time, at most, for scores while training goes on
MOST_ROLLBACKS = 3


@dataclass
class Position:
    """Where a run stands: all that is neither a weight nor an optimiser's state."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # of training, pauses between runs left out
    factor: float = 1.0  # on the learning rate; halved by each rollback
    skipped: int = 0  # steps left out for a gradient that was not finite
    skipped_in_a_row: int = 0
    rollbacks: int = 0
    best_score: float | None = None  # of what was held out, where the best weights are kept
    best_step: int = 0
    scores_since_best: int = 0
    pace: float = 1.0  # how much sooner the run ends, since patience was over

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Position":
        """From a checkpoint's state."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


class Loop:
    """Training of one model. `run()` ends when the steps or the seconds are up.

    With `patience`, the weights that scored best on what was held out are those that it ends with. As soon as so many scores
    in a row were no better, the learning rate begins to fall, for as long as it would in a run of that length; and where
    that happens while it falls, the run ends.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Batch, torch.Generator, float], Tensor],
        batches: Batches,
        passes: int,
        settings: TrainSection,
        run: Run,
        *,
        seconds: float | None,
        held_out: Callable[[nn.Module], float],
        gauge: Gauge,
        line: LiveLine,
        interruption: Interruption,
        patience: int | None = None,
        most_steps: int | None = None,
        rate_factors: Mapping[str, float] | None = None,
    ):
        """`loss` takes the model, a batch, a generator for what it draws, and the share of the run that is over.

        `passes` batches make one step; `gauge` says in what loss and score are told; a run in time ends after
        `most_steps`, if they are over sooner; `rate_factors` multiply the learning rates of the weights that they name.
        """
        self.model, self.loss, self.batches, self.passes = model, loss, batches, passes
        self.settings, self.run_folder, self.seconds = settings, run, seconds
        self.held_out, self.patience, self.most_steps = held_out, patience, most_steps
        self.line, self.interruption = line, interruption
        self.device = next(model.parameters()).device
        self.rate_factors = rate_factors
        # The first weights, as long as there is no checkpoint to go back to.
        self.initial: dict[str, Tensor] | None = None
        self.best: dict[str, Tensor] = {}  # the weights that scored best
        self.scored_step = -1
        self.optimisers, self.average = self.fresh_optimisers()
        self.position = Position()
        self.curves = Curves(run, line, gauge, settings.tensorboard)
        if settings.compile:
            if not isinstance(model, NextTokenModel):
                raise RecipeError("train.compile = true is for families with the loss of the next token")
            model.hidden = torch.compile(model.hidden)

    def fresh_optimisers(self) -> tuple[Optimisers, WeightAverage | None]:
        """Optimisers that have not seen a step, and the average where the recipe asks for one."""
        optimisers, decay = Optimisers(self.model, self.settings, self.rate_factors), self.settings.averaging
        return optimisers, WeightAverage(optimisers.masters, decay) if decay else None

    def resume(self) -> bool:
        """Take up the newest whole checkpoint; False where there is none."""
        checkpoint = newest_checkpoint(self.run_folder.checkpoints, self.line.say)
        if checkpoint is None:
            self.run_folder.rewind_metrics(0)
            return False
        self.take_up(checkpoint)
        set_random_state(checkpoint.state["random_state"], self.device)
        self.position = Position.of(checkpoint.state)
        self.best = {
            name.removeprefix("best."): tensor
            for name, tensor in checkpoint.optimizer.items()
            if name.startswith("best.")
        }
        self.curves.load(checkpoint.state)
        self.run_folder.rewind_metrics(self.position.step)
        return True

    def take_up(self, checkpoint: Checkpoint) -> None:
        """The weights, the optimisers' state and the average of a checkpoint."""
        average, carried, optimisers = {}, {}, {}
        for name, tensor in checkpoint.optimizer.items():
            home, _, rest = name.partition(".")
            if home == "average":
                average[rest] = tensor
            elif home == "carried":
                carried[rest] = tensor
            elif home != "best":
                optimisers[name] = tensor
        self.model.load_state_dict(checkpoint.weights)
        self.optimisers.load_state(optimisers)
        if self.average is not None:
            self.average.load(average)
        if isinstance(self.model, CarriesState):
            self.model.restore_carried(carried)

    def run(self) -> Position:
        """Train to the end. On Ctrl-C or SIGTERM the state is saved and `Interrupted` raised."""
        self.interruption.immediate = False
        self.model.train()
        if self.position.step == 0:
            self.initial = {name: weight.detach().clone() for name, weight in self.model.state_dict().items()}
        try:
            with quick_products(self.device):
                self.train()
        finally:
            self.curves.close()
            self.line.clear()
        if self.average is not None:
            self.average.give(self.optimisers.masters)
            self.optimisers.share()
        if self.patience is not None:
            if self.average is not None or self.scored_step != self.position.step:
                self.take_score(self.held_out(self.model))  # the last weights may be the best
            self.model.load_state_dict(self.best, strict=False)
        return self.position

    def train(self) -> None:
        """Step after step, with scores of held-out text and checkpoints between."""
        settings, position = self.settings, self.position
        clock = time.perf_counter() - position.seconds
        saved = position.seconds
        evaluation_due = saved + settings.evaluate_seconds
        while (progress := self.progress()) < 1:
            if self.patience_is_over():
                if not self.fall_now():
                    break
                progress = self.progress()
            factor = learning_rate_factor(progress, settings.warmup, settings.decay) * position.factor
            loss, norm = self.step(factor)
            position.seconds = time.perf_counter() - clock
            self.curves.step(position, loss, norm, factor * (settings.learning_rate or 1.0), self.left())
            if self.interruption.requested:
                whole = self.save()
                raise Interrupted(
                    self.interruption.message if whole else self.interruption.message_of_loss,
                    self.interruption.exit_code,
                )
            if self.due(settings.evaluate_steps, evaluation_due):
                begin = position.seconds
                self.take_score(self.held_out(self.model))
                position.seconds = time.perf_counter() - clock
                took = position.seconds - begin
                evaluation_due = position.seconds + max(settings.evaluate_seconds, took / EVALUATING_SHARE)
            if self.due(settings.checkpoint_steps, saved + settings.checkpoint_seconds):
                if not position.skipped_in_a_row:  # weights that lead to no finite gradient are none to go back to
                    self.save()
                position.seconds = saved = time.perf_counter() - clock

    def take_score(self, score: float) -> None:
        """Write down a score of what was held out; where the best weights are kept, keep these if they are the best."""
        position = self.position
        self.curves.held_out(position, score)
        self.scored_step = position.step
        if self.patience is None:
            return
        before = position.best_score
        if before is None or (score > before if self.curves.gauge.higher_is_better else score < before):
            position.best_score, position.best_step, position.scores_since_best = score, position.step, 0
            self.best = {name: weight.detach().clone() for name, weight in trained_weights(self.model).items()}
        else:
            position.scores_since_best += 1

    def patience_is_over(self) -> bool:
        """Whether as many scores in a row as there is patience were no better than the best."""
        return self.patience is not None and self.position.scores_since_best >= self.patience

    def fall_now(self) -> bool:
        """Shorten the run so that its learning rate falls from now on; False where it falls already, so that the run ends."""
        stable, progress = 1 - self.settings.decay, self.progress()
        if not progress < stable:
            return False
        self.position.pace *= stable / progress
        self.position.scores_since_best = 0
        self.curves.note("event", step=self.position.step, message="no better score for long: the learning rate falls")
        return True

    def progress(self) -> float:
        """How far the run is, from 0 to 1: in steps where they are fixed, else in time."""
        if self.settings.steps is not None:
            return self.position.pace * self.position.step / self.settings.steps
        assert self.seconds is not None
        share = self.position.seconds / self.seconds
        if self.most_steps is not None:
            share = max(share, self.position.step / self.most_steps)
        return self.position.pace * share

    def left(self) -> float:
        """Seconds to go, as far as can be told."""
        pace, each = self.position.pace, self.position.seconds / max(1, self.position.step)
        if self.settings.steps is None:
            left = (self.seconds or 0) / pace - self.position.seconds
            if self.most_steps is not None and self.position.step:
                left = min(left, each * (self.most_steps / pace - self.position.step))
            return left
        return each * (self.settings.steps / pace - self.position.step)

    def due(self, every_steps: int | None, at_seconds: float) -> bool:
        """Whether it is time again: by steps where they are given, else by the clock."""
        if every_steps is not None:
            return self.position.step % every_steps == 0
        return self.position.seconds >= at_seconds and self.left() > 0

    def step(self, factor: float) -> tuple[float, float]:
        """One step; returns the loss in nats per token and the norm of the gradient."""
        position = self.position
        losses, tokens, progress = [], 0, self.progress()
        for index in range(position.step * self.passes, (position.step + 1) * self.passes):
            batch = on_device(self.batches.batch(index), self.device)
            generator = torch.Generator().manual_seed((self.settings.seed * 1_000_003 + index) % 2**63)
            loss = self.loss(self.model, batch, generator, progress) / self.passes
            loss.backward()
            losses.append(loss.detach().double())
            tokens += batch.places
        # One look at the device for both numbers: it works on while the next batch is made, and waits where it is looked at.
        norm = self.optimisers.clip(self.settings.clip).double()
        total, norm = torch.stack([torch.stack(losses).sum(), norm]).tolist()
        if math.isfinite(norm) and math.isfinite(total):
            self.optimisers.step(factor)
            if self.average is not None:
                self.average.add(self.optimisers.masters)
            position.skipped_in_a_row = 0
        else:
            position.skipped += 1
            position.skipped_in_a_row += 1
        self.optimisers.zero_grad()
        position.step += 1
        position.tokens += tokens
        if position.skipped_in_a_row >= SKIPS_BEFORE_ROLLBACK:
            self.roll_back()
        return total, norm

    def roll_back(self) -> None:
        """After several gradients in a row that were not finite: weights of the last checkpoint, half the learning rate."""
        position = self.position
        if position.rollbacks >= MOST_ROLLBACKS:
            raise RunError(
                f"the loss is not finite at step {position.step}, after {position.rollbacks} returns to the last "
                "checkpoint; set a smaller train.learning_rate"
            )
        checkpoint = newest_checkpoint(self.run_folder.checkpoints, self.line.say)
        if checkpoint is not None:
            self.take_up(checkpoint)
        elif self.initial is not None:
            self.model.load_state_dict(self.initial)
            self.optimisers, self.average = self.fresh_optimisers()
        else:
            raise RunError(
                f"the loss is not finite at step {position.step}, and no whole checkpoint is left to go back to; "
                "set a smaller train.learning_rate"
            )
        if isinstance(self.model, CarriesState):  # the text goes on, so the state that led to older text is of no use
            self.model.restore_carried({})
        position.rollbacks += 1
        position.factor /= 2
        position.skipped_in_a_row = 0
        name = checkpoint.folder.name if checkpoint is not None else "the beginning"
        message = (
            f"{SKIPS_BEFORE_ROLLBACK} gradients in a row were not finite; weights of {name} again, learning rate halved"
        )
        self.line.say(f"step {position.step}: {message}")
        self.curves.note("event", step=position.step, message=message)

    def save(self) -> bool:
        """Write a checkpoint. A full disk is said; the last whole checkpoint stays, and training goes on.

        Returns whether it was written.
        """
        state = asdict(self.position) | self.curves.state | {"random_state": random_state(self.device)}
        tensors = self.optimisers.state()
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.tensors.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        if isinstance(self.model, CarriesState):
            tensors |= {f"carried.{name}": tensor for name, tensor in self.model.carried_state().items()}
        try:
            path = save_checkpoint(self.run_folder.checkpoints, self.model.state_dict(), tensors, state)
        except Exception as error:
            reason = writing_fault(error)
            if reason is None:
                raise
            before = (
                "the one before it stands" if list_checkpoints(self.run_folder.checkpoints) else "there is none yet"
            )
            self.line.say(
                f"the checkpoint of step {self.position.step} could not be written ({reason}); {before}, training goes on"
            )
            return False
        self.initial = None
        self.curves.note("checkpoint", step=self.position.step, path=path.name)
        return True


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights that training changes; a tensor that two names share comes once."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def random_state(device: torch.device) -> dict[str, str]:
    """The states of the random generators that training draws from, as hexadecimal digits."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return {name: state.numpy().tobytes().hex() for name, state in states.items()}


def set_random_state(states: dict[str, str], device: torch.device) -> None:
    """Take up what `random_state` gave."""
    tensors = {name: torch.frombuffer(bytearray.fromhex(digits), dtype=torch.uint8) for name, digits in states.items()}
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors["cuda"], device)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch where the model is."""
    if device.type == "cpu":
        return batch
    moved = {
        name: tensor.to(device, non_blocking=True) for name, tensor in vars(batch).items() if isinstance(tensor, Tensor)
    }
    return replace(batch, **moved)
