"""The learning rate rises, stays, and falls to zero."""

import pytest
from hypothesis import given, strategies as st

from inkstone.training.schedule import learning_rate_factor


@given(progress=st.floats(0, 1), warmup=st.floats(0, 0.99), decay=st.floats(0, 1))
def test_stays_between_zero_and_one(progress, warmup, decay):
    assert 0 <= learning_rate_factor(progress, warmup, decay) <= 1


@given(st.floats(0, 0.4), st.floats(1e-6, 0.5), st.floats(0, 1), st.floats(0, 1))
def test_rises_before_it_falls(warmup, decay, one, other):
    early, late = sorted((one, other))
    if late <= 1 - decay:
        assert learning_rate_factor(early, warmup, decay) <= learning_rate_factor(late, warmup, decay)
    if early >= warmup:
        assert learning_rate_factor(early, warmup, decay) >= learning_rate_factor(late, warmup, decay)


def test_without_warmup_and_decay_it_is_constant():
    assert [learning_rate_factor(p, 0, 0) for p in (0, 0.5, 1)] == [1, 1, 1]


def test_ends_at_zero_and_never_below_it():
    assert learning_rate_factor(1.0, 0.02, 0.5) == 0
    assert learning_rate_factor(1.2, 0.02, 0.5) == 0  # a last step may end late
    assert learning_rate_factor(0.75, 0.02, 0.5) == pytest.approx(0.5)
