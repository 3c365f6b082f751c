"""DIAS: sure of known classes, because unknown ones of every difficulty were made up in training.

Moon et al., "Difficulty-aware simulator for open set recognition", ECCV 2022. BUAL compares with
it as a way of asking: by how sure the classifier is. How BUAL ranks is not published; open_set.md
(C10) assumes the surest first, which its words support (queries that are "often simple").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from vidal.errors import EvidenceMissing
from vidal.openset.checks import numbers
from vidal.openset.items import frame_scores, reasons
from vidal.protocols import Trunk
from vidal.query.pools import regions_of
from vidal.query.uncertainty import certainty
from vidal.types import Explanation, IntArray, Learned, Pool, ScoreArray


def smoothed_cross_entropy(logits: NDArray[Any], labels: NDArray[Any], smoothing: float) -> float:
    """Mean cross-entropy with the target (1 - s) of the label + s / K of every class.

    s = 0 is the plain one, s = 1 the even target, whatever the label. 0 for no items.

    Args:
        logits: (N, K).
        labels: (N,) 0..K-1.
        smoothing: s in [0, 1].

    Raises:
        ValueError: other numbers, a label out of range, or s outside [0, 1].
    """
    (o,), place = numbers(logits), np.asarray(labels).astype(np.int64).reshape(-1)
    if o.ndim != 2 or len(o) != len(place) or not 0 <= smoothing <= 1:
        raise ValueError(f"{len(place)} labels for logits {o.shape}, smoothing {smoothing}")
    if ((place < 0) | (place >= o.shape[1])).any():
        raise ValueError(f"labels outside 0..{o.shape[1] - 1}")
    if not len(o):
        return 0.0
    logs = o - logsumexp(o, axis=1, keepdims=True)
    own = logs[np.arange(len(o)), place]
    return float(-((1 - smoothing) * own + smoothing * logs.mean(axis=1)).mean())


def rejection_threshold(known: int, smoothing: float = 0.5, slack: float = 0.05) -> float:
    """s / K + (1 - s) - slack: below this probability the authors' code takes an item as unknown.

    Args:
        known: K >= 1.
        smoothing: s of the training.
        slack: taken off.

    Raises:
        ValueError: K below 1.
    """
    if known < 1:
        raise ValueError(f"{known} classes")
    return smoothing / known + (1 - smoothing) - slack


@dataclass(frozen=True, slots=True)
class Dias:
    """Pictures that a classifier is surest of which was trained against made-up unknowns (DIAS).

    For images only: a generator makes pictures, and a second network imitates what lies between
    the stages of the first; features of detections have neither. On video ``certainty`` asks the
    detector the same question. Only items of known classes teach; a first round is like any other.
    """

    needs: ClassVar[frozenset[str]] = frozenset(
        {"regions", "features", "labelled", "labels", "trunk", "pictures"}
    )

    def learn(self, trunk: Trunk, seed: int) -> Learned:
        """The classifier, and what it says of the pool.

        Raises:
            EvidenceMissing: a trunk without pictures.
        """
        if not trunk.pictures:
            raise EvidenceMissing(
                "dias",
                "pictures",
                "makes up pictures, and detections of a video are features",
                hint="Use certainty, or openmax.",
            )
        from vidal.openset.dias_training import fitted, probs_of

        network = fitted(trunk, seed)
        found = probs_of(trunk.look(network, "pool").outputs)
        return Learned({"dias.probs": found}, network=network, known_probs=probs_of)

    def score(self, pool: Pool) -> ScoreArray:
        """(F,) the largest probability, in [1/K, 1]."""
        return frame_scores(pool, self._values(pool), "top", 3)

    def explain(self, pool: Pool, positions: IntArray) -> Explanation:
        """How sure it is, and whether the authors' code would reject the item."""
        values, limit = self._values(pool), rejection_threshold(len(pool.classes))

        def say(row: int) -> str:
            side = "above" if values[row] >= limit else "below"
            return f"probability {values[row]:.3f}, {side} the threshold {limit:.3f} of unknowns"

        parts = {"probability": values}
        return reasons(pool, positions, values, say, parts)

    def _values(self, pool: Pool) -> ScoreArray:
        return certainty(regions_of(pool).column("dias.probs"))
