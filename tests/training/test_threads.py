"""How many threads a run takes, under a clock that the test turns; and that the plan says so."""

from types import SimpleNamespace

import pytest

from inkstone.recipe import Recipe, with_settings
from inkstone.training import threads as threads_module, timing
from inkstone.training.machine import Machine
from inkstone.training.planner import make_plan
from inkstone.training.threads import FASTER, PROBE, chosen_threads, products_by_threads, steps_by_threads
from training.small_runs import byte_tokenizer, prose, small_shards

MACHINE = Machine("cpu", "a chip", 2, 2, 8 << 30, {"float32": 1.0, "bfloat16": 0.1}, 5.0)


class Clock:
    """A step and a product take so many seconds, by the number of threads; nothing else takes any."""

    def __init__(self, steps: dict[int, float], products: dict[int, float], patch: pytest.MonkeyPatch):
        self.of_steps, self.of_products, self.now, self.threads = steps, products, 0.0, max(steps)
        self.done: list[tuple[str, int]] = []
        for module in (timing, threads_module):
            patch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now))
        patch.setattr(threads_module.torch, "set_num_threads", lambda number: setattr(self, "threads", number))
        patch.setattr(threads_module.torch, "mm", self.product)
        patch.setattr(timing, "_step", lambda *_: lambda rows: self.step())

    def step(self) -> None:
        self.now += self.of_steps[self.threads]
        self.done.append(("step", self.threads))

    def product(self, *_) -> None:
        self.now += self.of_products[self.threads]
        self.done.append(("product", self.threads))


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({2: 1.0, 1: 0.2}, 1),  # busy
        ({2: 1.0, 1: 1.9}, 2),  # idle
        ({2: 1.0, 1: 0.95}, 2),  # nearly the same
        ({8: 3.0, 4: 1.0, 2: 0.3, 1: 0.29}, 2),
        ({8: 3.0, 4: 2.9, 2: 0.3, 1: 0.1}, 8),  # where half are no faster, a quarter are not tried
        ({3: 3.0, 1: 1.0}, 1),
    ],
)
def test_fewer_threads_are_taken_where_they_are_faster(seconds, chosen, monkeypatch):
    clock = Clock(seconds, {}, monkeypatch)
    tried = steps_by_threads(clock.step, max(seconds), 100.0)
    assert chosen_threads(tried, FASTER) == chosen
    assert tried == pytest.approx({number: seconds[number] for number in tried})
    assert ("step", 1) not in clock.done or chosen != 8


@pytest.mark.parametrize("granted", [0.0, 0.5, 2.0, 2.9, 3.0, 7.0])
def test_no_more_time_is_taken_than_was_granted(granted, monkeypatch):
    """Half the threads take twice as long at worst; the first step, of which nothing is known, may come at any time."""
    clock = Clock({4: 1.0, 2: 2.0, 1: 4.0}, {}, monkeypatch)
    tried = steps_by_threads(clock.step, 4, granted)
    assert clock.now <= max(granted, 1.0)
    assert set(tried) == ({4, 2} if granted >= 3.0 else set())


def test_one_thread_is_not_timed(monkeypatch):
    clock = Clock({1: 1.0}, {}, monkeypatch)
    assert steps_by_threads(clock.step, 1, 100.0) == {} and not clock.done


@pytest.mark.parametrize(
    ("seconds", "tried"),
    [
        ({8: 0.001, 4: 0.0008, 2: 0.0001, 1: 0.0001}, [8, 4]),  # no more than a little faster: too small to say
        ({8: 0.05, 4: 0.01, 2: 0.001, 1: 0.0009}, [8, 4, 2, 1]),
        ({2: 5.0, 1: 0.001}, [2, 1]),
        ({1: 0.001}, [1]),
    ],
)
def test_products_are_timed_shortly(seconds, tried, monkeypatch):
    clock = Clock({max(seconds): 1.0}, seconds, monkeypatch)
    found = products_by_threads(max(seconds), 32)
    assert found == pytest.approx({number: seconds[number] for number in tried})
    assert clock.now <= sum(PROBE + 2 * seconds[number] for number in tried) + 1e-9


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return small_shards(tmp_path_factory.mktemp("shards") / "train", [prose(4000, seed=seed) for seed in range(3)])


def planned(shards, *settings: str, seconds: float | None = 60.0):
    recipe = with_settings(Recipe(), ["model.width=32", "model.n_layers=1", *settings])
    machine = Machine(**{**vars(MACHINE), "threads": recipe.train.threads or MACHINE.threads})
    plan = make_plan(recipe, shards, byte_tokenizer(), machine, seconds, trial=40.0)
    return plan, [choice.why for choice in plan.choices if choice.name == "threads"]


def test_the_plan_says_how_many_threads_and_why(shards, monkeypatch):
    clock = Clock({2: 1.0, 1: 0.25}, {2: 0.001, 1: 0.002}, monkeypatch)
    plan, why = planned(shards)
    assert plan.recipe.train.threads == 1 == clock.threads
    assert why == ["measured here: a step takes 1000 ms with 2 and 250 ms with 1"]
    assert plan.predicted["tokens_per_second"] == pytest.approx((plan.recipe.train.batch_tokens or 0) * 4)
    clock.of_steps = {2: 0.5, 1: 0.9}
    plan, why = planned(shards)
    assert plan.recipe.train.threads == 2 == clock.threads
    assert why == ["measured here: a step takes 500 ms with 2 and 900 ms with 1"]


def test_on_a_busy_machine_no_step_is_made_with_all_threads(shards, monkeypatch):
    clock = Clock({2: 30.0, 1: 0.25}, {2: 0.05, 1: 0.001}, monkeypatch)
    plan, why = planned(shards)
    assert plan.recipe.train.threads == 1 == clock.threads and ("step", 2) not in clock.done
    assert why == ["measured here: a product takes 50 ms with 2 and 1.0 ms with 1"]


def test_threads_that_are_given_and_runs_of_steps_are_not_timed(shards, monkeypatch):
    clock = Clock({2: 1.0, 1: 0.25}, {2: 1.0, 1: 0.25}, monkeypatch)
    for number in (1, 2):
        plan, why = planned(shards, f"train.threads={number}")
        assert (plan.recipe.train.threads, why) == (number, [])
    assert {what for what, _ in clock.done} == {"step"}
    clock.done.clear()
    plan, why = planned(shards, "train.steps=7", seconds=None)
    assert (plan.recipe.train.threads, why, clock.done) == (2, [], [])
