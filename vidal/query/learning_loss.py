"""The loss of a network that predicts losses.

Yoo and Kweon, "Learning loss for active learning", CVPR 2019, section 3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def ranking_loss(scores: NDArray[Any], targets: NDArray[Any], margin: float = 1.0) -> float:
    """Mean over pairs of max(0, margin - sign(t_i - t_j) (s_i - s_j)).

    Item i makes a pair with its mirror in the batch; of an odd number the last is left out. A pair
    with equal targets gives 0 and counts in the mean; without pairs it is 0.

    Args:
        scores: (B,) predicted losses.
        targets: (B,) true losses.
        margin: by how much the larger loss should be predicted larger.

    Raises:
        ValueError: another number of targets.
    """
    s, t = (np.asarray(each, np.float64).reshape(-1) for each in (scores, targets))
    if len(s) != len(t):
        raise ValueError(f"{len(s)} scores for {len(t)} targets")
    half = len(s) // 2
    if not half:
        return 0.0
    s, t = s[: 2 * half], t[: 2 * half]
    sign = np.sign(t[:half] - t[: half - 1 : -1])
    short = np.maximum(0.0, margin - sign * (s[:half] - s[: half - 1 : -1]))
    return float(np.where(sign == 0, 0.0, short).mean())
