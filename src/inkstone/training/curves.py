"""What is written down of a run while it goes: the live line, the journal, and TensorBoard on request."""

import math
import time
from typing import TYPE_CHECKING, Any

from inkstone.errors import MissingExtraError
from inkstone.files import writing_fault
from inkstone.progress import LiveLine, human_count, human_time
from inkstone.run import Run

if TYPE_CHECKING:
    from inkstone.training.loop import Position

SMOOTHING = 0.95  # of the loss on the live line
JOURNAL_SECONDS = 1.0


class Curves:
    """Loss, learning rate and speed over the run."""

    def __init__(self, run: Run, line: LiveLine, bits_per_nat: float, tensorboard: bool):
        self.run, self.line, self.bits_per_nat = run, line, bits_per_nat
        self.sum, self.mass = 0.0, 0.0
        self.written = float("-inf")
        self.last_held_out: float | None = None
        self.full = False  # whether the last line could not be written
        self.board = tensorboard_writer_class()(str(run.folder / "tensorboard")) if tensorboard else None

    @property
    def train_bits_per_byte(self) -> float:
        """The smoothed training loss."""
        return self.sum / max(self.mass, 1e-9) * self.bits_per_nat

    def step(self, position: "Position", loss: float, norm: float, learning_rate: float, left: float) -> None:
        """Take in one step."""
        if math.isfinite(loss):
            self.sum = SMOOTHING * self.sum + (1 - SMOOTHING) * loss
            self.mass = SMOOTHING * self.mass + (1 - SMOOTHING)
        now = time.perf_counter()
        speed = position.tokens / max(position.seconds, 1e-9)
        held_out = "" if self.last_held_out is None else f" · held-out {self.last_held_out:.3f}"
        self.line.show(
            f"train  step {position.step} · {human_count(speed, 'tokens/s')} · "
            f"{self.train_bits_per_byte:.3f} bits per byte{held_out} · {human_time(max(0.0, left))} left"
        )
        if now - self.written >= JOURNAL_SECONDS:
            self.written = now
            values = {
                "step": position.step,
                "seconds": round(position.seconds, 3),
                "tokens": position.tokens,
                "loss": loss if math.isfinite(loss) else None,
                "bits_per_byte": self.train_bits_per_byte,
                "learning_rate": learning_rate,
                "gradient_norm": norm if math.isfinite(norm) else None,
                "tokens_per_second": speed,
            }
            self.note("train", **values)

    def held_out(self, position: "Position", bits_per_byte: float) -> None:
        """Take in a score of held-out text."""
        self.last_held_out = bits_per_byte
        values = {"step": position.step, "seconds": round(position.seconds, 3), "bits_per_byte": bits_per_byte}
        self.note("held-out", **values)

    def note(self, kind: str, **values: Any) -> None:
        """Write a line into the journal. A full disk is said once, and training goes on."""
        try:
            self.run.log(kind, **values)
            if self.board is not None:
                for name, value in values.items():
                    if isinstance(value, int | float) and name not in ("step", "seconds", "tokens"):
                        self.board.add_scalar(f"{kind}/{name}", value, values["step"])
            self.full = False
        except OSError as error:
            if not self.full:
                self.line.say(
                    f"{self.run.metrics_path}: cannot be written ({writing_fault(error)}); training goes on, "
                    "its curve has a gap"
                )
            self.full = True

    @property
    def state(self) -> dict[str, float]:
        """What a checkpoint keeps: the smoothed loss."""
        return {"loss_sum": self.sum, "loss_mass": self.mass}

    def load(self, state: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.sum, self.mass = state["loss_sum"], state["loss_mass"]

    def close(self) -> None:
        """Write out what is still held."""
        if self.board is not None:
            self.board.close()


def tensorboard_writer_class():
    """TensorBoard's writer. Raises MissingExtraError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("tensorboard", "tensorboard", "train.tensorboard") from None
    return SummaryWriter
