"""What is written down while a run goes."""

import math

import pytest

from inkstone.errors import MissingExtraError
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.training import curves as module
from inkstone.training.curves import Curves, Gauge
from inkstone.training.loop import Position


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "run", Recipe())


def test_the_loss_is_smoothed_without_a_bias_at_the_start(run):
    curves = Curves(run, LiveLine(quiet=True), gauge=Gauge.bits_per_byte(2.0), tensorboard=False)
    curves.step(Position(step=1), 3.0, 1.0, 0.01, 1.0)
    assert curves.train_loss == pytest.approx(6.0)
    curves.step(Position(step=2), 1.0, 1.0, 0.01, 1.0)
    assert curves.train_loss == pytest.approx(2 * (0.95 * 3 + 1) / 1.95)


def test_a_loss_that_is_not_finite_leaves_the_curve_and_valid_json(run):
    curves = Curves(run, LiveLine(quiet=True), gauge=Gauge.bits_per_byte(1.0), tensorboard=False)
    curves.step(Position(step=1), 3.0, 1.0, 0.01, 1.0)
    curves.written = -math.inf
    curves.step(Position(step=2), math.nan, math.inf, 0.01, 1.0)
    assert curves.train_loss == pytest.approx(3.0)
    last = list(run.metrics("train"))[-1]
    assert last["step"] == 2 and last["loss"] is None and last["gradient_norm"] is None
    assert "NaN" not in run.metrics_path.read_text() and "Infinity" not in run.metrics_path.read_text()


def test_scores_of_held_out_text_are_written(run):
    Curves(run, LiveLine(quiet=True), Gauge.bits_per_byte(1.0), False).held_out(Position(step=5, seconds=2.0), 1.5)
    (entry,) = run.metrics("held-out")
    assert (entry["step"], entry["bits_per_byte"], entry["seconds"]) == (5, 1.5, 2.0)


def test_tensorboard_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"inkstone\[tensorboard\]"):
        module.tensorboard_writer_class()


def test_tensorboard_gets_the_same_curves(run):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = Curves(run, LiveLine(quiet=True), Gauge.bits_per_byte(1.0), tensorboard=True)
    curves.step(Position(step=3), 2.5, 1.0, 0.01, 1.0)
    curves.held_out(Position(step=3), 1.25)
    curves.close()
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(3, 2.5)]
    assert [(e.step, e.value) for e in events.Scalars("held-out/bits_per_byte")] == [(3, 1.25)]
