"""The learning rate over a run: it rises, stays, and falls to zero (warmup-stable-decay; Hu et al. 2024, MiniCPM).

The run is measured by `progress` from 0 to 1, which is time for a run of so many minutes and steps for a run of so
many steps. The fall is linear and long: at small budgets most of what is gained is gained in it (Hägele et al. 2024).
"""

FIRST = 0.05  # the first step must not be lost, as it would be at zero


def learning_rate_factor(progress: float, warmup: float, decay: float) -> float:
    """Factor on the learning rate, between 0 and 1, at a `progress` between 0 and 1.

    >>> [learning_rate_factor(p, warmup=0.1, decay=0.5) for p in (0.0, 0.05, 0.1, 0.5, 0.75, 1.0)]
    [0.05, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    rising = max(FIRST, progress / warmup) if warmup else 1.0
    falling = (1 - progress) / decay if decay else 1.0
    return max(0.0, min(1.0, rising, falling))
