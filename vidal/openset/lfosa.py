"""LfOSA: ask for what a detector of known classes is surest of.

Ning, Zhao, Li and Huang, "Active learning for open-set annotation", CVPR 2022. A network tells the
K known classes and "unknown" apart; of each predicted class a mixture of two Gaussians is fitted to
the largest logits; the posterior of the component with the larger mean is the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vidal.arrays import component_posterior
from vidal.errors import UsageError
from vidal.openset.items import reasons
from vidal.protocols import Trunk
from vidal.query.pools import regions_of
from vidal.query.regions import Fold, fold
from vidal.types import Explanation, IntArray, Learned, Pool, ScoreArray


def max_activation(logits: NDArray[np.floating]) -> ScoreArray:
    """(N, K+1) -> (N, 2): the largest logit, not divided by any temperature, and its column."""
    o = np.asarray(logits, np.float64)
    column = o.argmax(axis=1) if len(o) else np.zeros(0, np.int64)
    return np.stack([o[np.arange(len(o)), column], column.astype(np.float64)], axis=1)


def known_posterior(logits: NDArray[np.floating]) -> ScoreArray:
    """(N, K+1), the last column unknown -> (N,) P(a known class) in [0, 1], higher = ask.

    Within each predicted class, see `vidal.arrays.component_posterior`: 0.5 where its values are
    all equal (the released code drops classes with fewer than two items). Predicted unknown: 0.
    """
    value, column = max_activation(logits).T
    result = np.zeros(len(value))
    for number in range(np.shape(logits)[1] - 1):
        mine = column == number
        if mine.any():
            result[mine] = component_posterior(value[mine])
    return result


@dataclass(frozen=True, slots=True)
class Lfosa:
    """How surely a detector of known classes takes a detection for one of them (LfOSA).

    A frame scores the mean of its highest detections, so that one object that is surely known is
    asked for even among many that are not. Detections that are predicted unknown score 0, and
    frames without others come last. In the first round no unknown object is labelled: the column of
    the unknown has no examples, and the network is one of the K classes. The paper's threshold is
    the lowest posterior of the batch, so there is none to give. Annotated unknowns leave the pool;
    in the released code they could be bought again.

    Lost on regions: the network is a hidden layer on features that a detector of the known classes
    made, where the paper trains all layers; activations of unknown objects that look alike to the
    detector cannot be pulled apart. Background is a further class of the training, and dropped
    before scoring.

    Attributes:
        temperature: what logits are divided by in the loss (0.5 in the paper and in the released
            command).
        unknown_temperature: the same for items annotated as unknown; the released code's own
            default is 2, its commands give 0.5.
        aggregate: how detections make a frame: mean, sum, max, or top (the mean of the highest).
        top: how many the highest are, for aggregate top.
    """

    temperature: float = 0.5
    unknown_temperature: float = 0.5
    aggregate: Fold = "top"
    top: int = 3

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "features", "labelled", "labels", "trunk"}
    )
    positive_first: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("temperature", "unknown_temperature"):
            if not getattr(self, name) > 0:
                why = f"{name} {getattr(self, name)}: not above 0."
                raise UsageError(why, hint="The paper gives 0.5.")
        if self.top < 1:
            raise UsageError(f"top {self.top}: less than 1.", hint="Give a number of detections.")

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """``lfosa.logits`` (N, K+1) of the pool, background left out."""
        from vidal.openset.detector import fit_detector, logits_of

        network = fit_detector(trunk, seed, self.temperature, self.unknown_temperature)
        return Learned({"lfosa.logits": logits_of(trunk, network, "pool")})

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) in [0, 1]."""
        values, frame = self._values(pool), regions_of(pool).pos
        return fold(values, frame, len(pool), self.aggregate, self.top)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """The detection that is most surely known."""
        values = self._values(pool)
        logits = regions_of(pool).column("lfosa.logits")

        def what(row: int) -> str:
            if logits[row].argmax() == len(pool.classes):
                return "taken for an unknown object"
            return f"known with probability {values[row]:.3f} by its activation"

        return reasons(pool, positions, values, what, {"known": values})

    def _values(self, pool: Pool) -> ScoreArray:
        return known_posterior(regions_of(pool).column("lfosa.logits"))
