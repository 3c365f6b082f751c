"""Random numbers of a campaign: one seed, and from it a generator for every round and purpose."""

from __future__ import annotations

import numpy as np

SELECT, START, TRAIN, LEARN, CROSS, PSEUDO = 0, 1, 2, 3, 4, 100
HEADS, TRUNK = 2**20, 2**20 + 1
"""What random numbers are drawn for; ``CROSS`` + n is fold n of a cross-fitting."""


def step_rng(seed: int, number: int, purpose: int) -> np.random.Generator:
    """The random numbers of one step of one round; the same whenever it is run.

    ``SELECT`` being 0, a selection draws what ``default_rng([seed, round])`` gives.
    """
    return np.random.default_rng([seed, number, purpose])
