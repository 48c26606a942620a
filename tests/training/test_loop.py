"""The loop: it learns, accumulates, passes over gradients that are not finite, goes back, stops and goes on."""

import os
import signal

import pytest
import torch

from inkstone.errors import Interrupted, RunError
from inkstone.run import Run
from inkstone.tasks.language_modelling import next_token_loss
from inkstone.training.checkpoints import list_checkpoints
from inkstone.training.interruption import Interruption
from training.small_runs import small_decoder, small_loop


def weights_of(loop):
    return {name: weight.detach().clone() for name, weight in loop.model.state_dict().items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_the_loss_falls(tmp_path, optimizer):
    losses = []

    def noted(model, batch, *_):
        loss = next_token_loss(model, batch)
        losses.append(loss.item())
        return loss

    small_loop(tmp_path / "run", loss=noted, optimizer=optimizer, learning_rate=0.01, steps=60).run()
    assert losses[0] == pytest.approx(torch.log(torch.tensor(257.0)).item(), abs=0.2)  # nothing is known yet
    assert sum(losses[-5:]) / 5 < 0.7 * losses[0]


def test_one_pass_of_eight_rows_equals_four_passes_of_two(tmp_path):
    whole, parts = small_loop(tmp_path / "a", rows=8, passes=1), small_loop(tmp_path / "b", rows=2, passes=4)
    for loop in (whole, parts):
        loop.run()
    assert whole.position.tokens == parts.position.tokens == 10 * 8 * 16
    for name, weight in whole.model.state_dict().items():
        off = (weight - parts.model.state_dict()[name]).abs()
        # Muon rounds to bfloat16. With a quarter of the batch means are off by 4e-3 and more.
        assert off.mean() < 1e-3 and off.max() < 5e-3, name


def test_the_loss_is_blind_to_other_documents_in_the_row(tmp_path):
    loop = small_loop(tmp_path / "run")
    batch = next(b for b in map(loop.batches.batch, range(50)) if b.document is not None)
    row = int((batch.document[:, -1] > batch.document[:, 0]).nonzero()[0])
    first = batch.document[row] == batch.document[row, 0]
    ids = batch.ids[row : row + 1].clone()
    document = batch.document[row : row + 1]
    model = small_decoder(seed=4)
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    before = model.hidden(ids, document)
    ids[0, first] = 7  # another document stands before
    after = model.hidden(ids, document)
    torch.testing.assert_close(after[0, ~first], before[0, ~first])
    assert not torch.allclose(after[0, first], before[0, first])
    hidden_from = next_token_loss(model, batch)
    unmasked = next_token_loss(model, type(batch)(batch.ids, batch.targets, None))
    assert hidden_from.item() != unmasked.item()  # the batch's documents reach the model


def broken_at(steps):
    """A loss that is not a number at these calls, counted from 1."""
    calls = [0]

    def loss(model, batch, *_):
        calls[0] += 1
        return next_token_loss(model, batch) * (float("nan") if calls[0] in steps else 1.0)

    return loss


def test_gradients_that_are_not_finite_are_passed_over_and_counted(tmp_path):
    loop = small_loop(tmp_path / "run", loss=broken_at({3, 4, 8}))
    position = loop.run()
    assert (position.step, position.skipped, position.rollbacks) == (10, 3, 0)
    assert all(weight.isfinite().all() for weight in loop.model.parameters())


def test_a_skipped_step_changes_no_weight(tmp_path):
    loop = small_loop(tmp_path / "run", loss=broken_at({1}))
    before = weights_of(loop)
    loop.step(1.0)
    assert equal(before, weights_of(loop)) and loop.position.step == 1
    loop.step(1.0)
    assert not equal(before, weights_of(loop))


def test_an_infinite_gradient_of_a_finite_loss_is_passed_over(tmp_path):
    def loss(model, batch, *_):
        return (next_token_loss(model, batch) - 5.0).abs().sqrt() * 0 + model.norm.weight.sub(1).sum().abs().sqrt()

    loop = small_loop(tmp_path / "run", loss=loss)
    before = weights_of(loop)
    total, norm = loop.step(1.0)
    assert (total == 0 and norm != norm) or norm == float("inf")
    assert equal(before, weights_of(loop)) and loop.position.skipped == 1


def test_five_in_a_row_go_back_to_the_checkpoint_with_half_the_learning_rate(tmp_path):
    loop = small_loop(tmp_path / "run", loss=broken_at({7, 8, 9, 10, 11}), checkpoint_steps=4, steps=12, averaging=0.9)
    for _ in range(4):
        loop.step(1.0)
    loop.save()
    saved, mass = weights_of(loop), loop.average.mass.clone()
    for _ in range(6):
        loop.step(1.0)
    assert loop.position.skipped_in_a_row == 4 and not equal(weights_of(loop), saved)
    loop.step(1.0)
    assert equal(weights_of(loop), saved) and torch.equal(loop.average.mass, mass)
    assert (loop.position.step, loop.position.factor, loop.position.rollbacks) == (11, 0.5, 1)
    (event,) = Run(tmp_path / "run").metrics("event")
    assert "step-00000004" in event["message"] and event["step"] == 11


def test_without_a_checkpoint_training_begins_again_from_the_first_weights(tmp_path):
    loop = small_loop(tmp_path / "run", loss=broken_at({3, 4, 5, 6, 7}))
    first = weights_of(loop)
    loop.initial = {name: weight.clone() for name, weight in first.items()}
    for _ in range(7):
        loop.step(1.0)
    assert equal(weights_of(loop), first) and loop.position.rollbacks == 1
    assert not loop.optimisers.parts["muon"].state


def test_no_checkpoint_is_made_of_weights_without_finite_gradients(tmp_path):
    loop = small_loop(tmp_path / "run", loss=broken_at({4, 8}), checkpoint_steps=4, steps=12)
    loop.run()
    assert [path.name for path in list_checkpoints(tmp_path / "run" / "checkpoints")] == ["step-00000012"]


def test_when_going_back_does_not_help_it_ends_in_one_clear_line(tmp_path):
    loop = small_loop(tmp_path / "run", loss=broken_at(set(range(6, 1000))), checkpoint_steps=2, steps=200)
    with pytest.raises(
        RunError, match=r"not finite at step \d+, after 3 returns .* smaller train.learning_rate"
    ) as caught:
        loop.run()
    assert "\n" not in str(caught.value)
    assert loop.position.factor == 1 / 8


@pytest.mark.parametrize("averaging", [0.0, 0.9])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_goes_on_bit_for_bit_after_an_interruption(tmp_path, averaging, dropout):
    def loop_in(name, **more):
        model = small_decoder(dropout=dropout)
        return small_loop(tmp_path / name, model=model, averaging=averaging, passes=2, rows=2, steps=12, **more)

    unbroken = loop_in("unbroken")
    unbroken.run()

    interruption = Interruption("stopped", "lost")
    first = loop_in("broken", interruption=interruption)
    step = first.step

    def interrupted_step(factor):
        interruption.requested = first.position.step == 6
        return step(factor)

    first.step = interrupted_step
    with pytest.raises(Interrupted, match="stopped"):
        first.run()
    assert first.position.step == 7
    torch.rand(3)  # other draws meanwhile
    second = loop_in("broken")
    assert second.resume() and second.position.step == 7
    second.run()
    assert second.position.tokens == unbroken.position.tokens
    assert equal(weights_of(second), weights_of(unbroken))
    assert second.curves.train_loss == unbroken.curves.train_loss


def test_a_resumed_run_leaves_no_line_of_the_journal_twice(tmp_path):
    loop = small_loop(tmp_path / "run", checkpoint_steps=4, steps=10)
    loop.run()
    run = Run(tmp_path / "run")
    run.log("held-out", step=9, bits_per_byte=1.0)
    again = small_loop(tmp_path / "run", checkpoint_steps=4, steps=10)
    again.resume()
    assert again.position.step == 8
    assert max(entry["step"] for entry in run.metrics()) <= 8
    for path in list_checkpoints(run.checkpoints):
        (path / "state.json").unlink()
    assert not small_loop(tmp_path / "run", steps=10).resume()
    assert not list(run.metrics())


def test_a_time_limit_ends_the_run_and_counts_across_interruptions(tmp_path, monkeypatch):
    clock = [100.0]

    def loss(model, batch, *_):
        clock[0] += 1.0
        return next_token_loss(model, batch)

    monkeypatch.setattr("inkstone.training.loop.time.perf_counter", lambda: clock[0])
    loop = small_loop(tmp_path / "run", loss=loss, steps=None, seconds=8.0, checkpoint_seconds=3.0)
    loop.position.seconds = 2.0  # of an earlier call
    position = loop.run()
    assert position.step == 6 and position.seconds == 8.0


@pytest.mark.parametrize("reason", ["OSError", "Rust"])
def test_a_full_disk_is_said_and_training_goes_on(tmp_path, monkeypatch, reason):
    loop = small_loop(tmp_path / "run", checkpoint_steps=3, steps=10)
    said = []
    loop.line.say = said.append
    calls = [0]
    from inkstone.training import checkpoints

    save_file = checkpoints.save_file

    def full(tensors, path):
        calls[0] += 1
        if calls[0] > 2:  # two files in each checkpoint: the second fails
            if reason == "OSError":
                raise OSError(28, "No space left on device")
            raise ValueError("Error while serializing: I/O error: No space left on device (os error 28)")
        save_file(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", full)
    position = loop.run()
    assert position.step == 10
    assert [path.name for path in list_checkpoints(loop.run_folder.checkpoints)] == ["step-00000003"]
    assert len(said) == 2 and all("No space left on device" in line and "stands" in line for line in said)
    assert not [path for path in loop.run_folder.checkpoints.iterdir() if path.name.startswith(".")]


def test_another_error_while_saving_is_not_hidden(tmp_path, monkeypatch):
    monkeypatch.setattr("inkstone.training.checkpoints.save_file", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        small_loop(tmp_path / "run", checkpoint_steps=1).run()


def test_an_interruption_that_could_not_save_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "inkstone.training.checkpoints.save_file", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    interruption = Interruption("saved", "not saved")
    loop = small_loop(tmp_path / "run", interruption=interruption)
    interruption.requested = True
    with pytest.raises(Interrupted, match=r"^not saved$"):
        loop.run()


def test_a_journal_that_cannot_be_written_is_said_once(tmp_path, monkeypatch):
    loop = small_loop(tmp_path / "run", steps=6, evaluate_steps=1)
    said = []
    loop.line.say = said.append
    monkeypatch.setattr(Run, "log", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert loop.run().step == 6
    assert len(said) == 1 and "metrics.jsonl" in said[0] and "No space left" in said[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_training_saves_first(tmp_path, number, code):
    with Interruption("go on with --resume") as interruption:

        def loss(model, batch, *_):
            if len(seen) == 3:
                os.kill(os.getpid(), number)
            seen.append(1)
            return next_token_loss(model, batch)

        seen: list[int] = []
        loop = small_loop(tmp_path / "run", loss=loss, interruption=interruption)
        with pytest.raises(Interrupted, match="go on with --resume") as caught:
            loop.run()
    assert caught.value.exit_code == code
    assert [path.name for path in list_checkpoints(loop.run_folder.checkpoints)] == ["step-00000004"]


def test_with_patience_a_run_ends_with_the_weights_that_scored_best_and_resumes_with_them(tmp_path):
    scores = [5.0, 3.0, 4.0, 4.0, 4.0, 9.0]
    seen: list[dict[str, torch.Tensor]] = []

    def held_out(model: torch.nn.Module) -> float:
        seen.append({name: weight.detach().clone() for name, weight in model.named_parameters()})
        return scores[len(seen) - 1]

    loop = small_loop(tmp_path / "run", held_out=held_out, patience=2, steps=50, evaluate_steps=1, checkpoint_steps=5)
    position = loop.run()
    assert position.step == 6  # two scores after the best were no better, then two while the learning rate fell
    assert position.best_step == 2 and position.best_score == 3.0
    assert all(torch.equal(weight, seen[1][name]) for name, weight in loop.model.named_parameters())
    assert any(not torch.equal(weight, seen[3][name]) for name, weight in loop.model.named_parameters())
    again = small_loop(tmp_path / "run", held_out=lambda model: 9.0, patience=2, steps=50, evaluate_steps=1)
    assert again.resume() and again.position.step == 5 and again.position.pace == position.pace > 1
    again.run()
    assert all(torch.equal(weight, seen[1][name]) for name, weight in again.model.named_parameters())


def test_where_patience_is_over_the_learning_rate_falls_for_as_long_as_it_stood(tmp_path):
    scores = iter([1.0, 2.0, 2.0, *(0.9 - 0.1 * step for step in range(20))])  # what falls goes on to pay
    loop = small_loop(
        tmp_path / "run",
        held_out=lambda model: next(scores),
        patience=2,
        steps=100,
        evaluate_steps=1,
        decay=0.5,
        warmup=0.0,
    )
    position = loop.run()
    assert position.step == 6 and position.best_step == 6  # three steps before it fell, three while it fell
    (event,) = loop.run_folder.metrics("event")
    assert event["step"] == 3 and "the learning rate falls" in event["message"]
