import numpy as np
from hypothesis import given, strategies as st

from inkstone.vectors.noise import noise_table


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50))
def test_the_table_holds_the_distribution_exactly(counts):
    weights = np.array(counts, float) ** 0.75
    np.testing.assert_allclose(noise_table(np.array(counts)).probabilities(), weights / weights.sum(), atol=1e-12)


def test_draws_follow_the_table():
    table = noise_table(np.array([1000, 100, 10, 1]))
    drawn = np.bincount(table.draw(np.random.default_rng(0), (200_000,)), minlength=4) / 200_000
    np.testing.assert_allclose(drawn, table.probabilities(), atol=0.004)
