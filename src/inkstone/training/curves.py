"""What is written down of a run while it goes: the live line, the journal, and TensorBoard on request."""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inkstone.errors import MissingExtraError
from inkstone.files import writing_fault
from inkstone.progress import LiveLine, human_count, human_time
from inkstone.run import Run

if TYPE_CHECKING:
    from inkstone.training.loop import Position

SMOOTHING = 0.95  # of the loss on the live line
JOURNAL_SECONDS = 1.0


@dataclass(frozen=True)
class Gauge:
    """In what the training loss and the held-out score of a run are told."""

    unit: str  # of the training loss
    per_nat: float  # of that unit
    key: str  # of the training loss in the journal
    score: str  # the name of the held-out score
    score_key: str  # in the journal
    higher_is_better: bool

    @classmethod
    def bits_per_byte(cls, bits_per_nat: float) -> "Gauge":
        """Both in bits per byte of text, of which a token of one nat has `bits_per_nat`."""
        return cls("bits per byte", bits_per_nat, "bits_per_byte", "held-out", "bits_per_byte", False)

    @classmethod
    def of_task(cls, score: str) -> "Gauge":
        """The loss in nats, and a score such as accuracy, of which more is better."""
        return cls("nats", 1.0, "nats", score, score.replace(" ", "_").replace("-", "_").lower(), True)

    @classmethod
    def of_nats(cls, of: str = "token") -> "Gauge":
        """Both in nats a token of what is to be written, or a pair; on dev without what the training loss adds to them."""
        return cls("nats", 1.0, "nats", f"dev nats a {of}", "dev_nats", False)


class Curves:
    """Loss, learning rate and speed over the run."""

    def __init__(self, run: Run, line: LiveLine, gauge: Gauge, tensorboard: bool):
        self.run, self.line, self.gauge = run, line, gauge
        self.sum, self.mass = 0.0, 0.0
        self.written = float("-inf")
        self.last_held_out: float | None = None
        self.full = False  # whether the last line could not be written
        self.board = tensorboard_writer_class()(str(run.folder / "tensorboard")) if tensorboard else None

    @property
    def train_loss(self) -> float:
        """The smoothed training loss, in the unit of the gauge."""
        return self.sum / max(self.mass, 1e-9) * self.gauge.per_nat

    def step(self, position: "Position", loss: float, norm: float, learning_rate: float, left: float) -> None:
        """Take in one step."""
        if math.isfinite(loss):
            self.sum = SMOOTHING * self.sum + (1 - SMOOTHING) * loss
            self.mass = SMOOTHING * self.mass + (1 - SMOOTHING)
        now = time.perf_counter()
        speed = position.tokens / max(position.seconds, 1e-9)
        held_out = "" if self.last_held_out is None else f" · {self.gauge.score} {self.last_held_out:.3f}"
        self.line.show(
            f"train  step {position.step} · {human_count(speed, 'tokens/s')} · "
            f"{self.train_loss:.3f} {self.gauge.unit}{held_out} · {human_time(max(0.0, left))} left"
        )
        if now - self.written >= JOURNAL_SECONDS:
            self.written = now
            values = {
                "step": position.step,
                "seconds": round(position.seconds, 3),
                "tokens": position.tokens,
                "loss": loss if math.isfinite(loss) else None,
                self.gauge.key: self.train_loss,
                "learning_rate": learning_rate,
                "gradient_norm": norm if math.isfinite(norm) else None,
                "tokens_per_second": speed,
            }
            self.note("train", **values)

    def held_out(self, position: "Position", score: float) -> None:
        """Take in a score of what was held out."""
        self.last_held_out = score
        values = {"step": position.step, "seconds": round(position.seconds, 3), self.gauge.score_key: score}
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
