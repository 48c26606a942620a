"""What is written down of a run while it goes: the live line, the journal, and TensorBoard on request."""

import time
from typing import TYPE_CHECKING

from inkstone.errors import MissingExtraError
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
        self.board = tensorboard_writer(run) if tensorboard else None

    @property
    def train_bits_per_byte(self) -> float:
        """The smoothed training loss."""
        return self.sum / max(self.mass, 1e-9) * self.bits_per_nat

    def step(self, position: "Position", loss: float, norm: float, factor: float, left: float) -> None:
        """Take in one step."""
        if loss == loss:
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
                "loss": loss,
                "bits_per_byte": self.train_bits_per_byte,
                "learning_rate": factor,
                "gradient_norm": norm,
                "tokens_per_second": speed,
            }
            self.run.log("train", **values)
            self._board("train", values)

    def held_out(self, position: "Position", bits_per_byte: float) -> None:
        """Take in a score of held-out text."""
        self.last_held_out = bits_per_byte
        values = {"step": position.step, "seconds": round(position.seconds, 3), "bits_per_byte": bits_per_byte}
        self.run.log("held-out", **values)
        self._board("held-out", values)

    def close(self) -> None:
        """Write out what is still held."""
        if self.board is not None:
            self.board.close()

    def _board(self, kind: str, values: dict[str, float]) -> None:
        if self.board is not None:
            for name, value in values.items():
                if name not in ("step", "seconds", "tokens"):
                    self.board.add_scalar(f"{kind}/{name}", value, values["step"])


def tensorboard_writer(run: Run):
    """A writer into the run's folder. Raises MissingExtraError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("tensorboard", "tensorboard", "train.tensorboard") from None
    return SummaryWriter(str(run.folder / "tensorboard"))
