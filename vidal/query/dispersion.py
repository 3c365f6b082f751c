"""How often the predicted label changes: over the epochs of a training, or over a committee."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import ScoreArray


def label_dispersion(predictions: NDArray[Any]) -> ScoreArray:
    """1 - (count of the most frequent label) / T; (T, N) of any integers -> (N,) in [0, 1).

    0 without predictions. Zolfaghari Bengar, Raducanu and van de Weijer, "When deep learners change
    their mind: learning dynamics for active learning", CAIP 2021, where T counts epochs; of a
    committee's votes it is the variation ratio (Freeman 1965; Beluch et al., "The power of
    ensembles for active learning in image classification", CVPR 2018).
    """
    count, rows = np.shape(predictions)
    ordered = np.sort(predictions, axis=0)
    run, longest = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    for at in range(count):
        same = ordered[at] == ordered[at - 1] if at else np.zeros(rows, np.bool_)
        run = np.where(same, run + 1, 1)
        np.maximum(longest, run, out=longest)
    return 1.0 - longest / count if count else np.zeros(rows)
