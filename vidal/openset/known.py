"""Whether a region shows an unknown object: learned from what annotators called so.

A head of K+1 classes (the last = unknown) and background on features, the plainest of the open-set
methods (the K+1-way classifier of Ning et al., "Active learning for open-set annotation", CVPR
2022, without its temperature); what it says is held to the share of unknown objects so far, as long
as few of them are labelled. How much a detection counts for ``known-only`` does not hang on that
share: new footage is queried because it is not like what is labelled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from vidal.protocols import Trunk
from vidal.query.pools import regions_of
from vidal.types import BACKGROUND, IntArray, Learned, Pool, ScoreArray

COLUMN = "known.unknown"
"""(N,) P(unknown object) of each region; missing as long as no unknown object is labelled."""
OBJECT = "known.object"
"""(N,) P(object, known or unknown) of each region; there with ``COLUMN``."""
KEPT = "known.kept"
"""(N,) how much each region counts where unknown objects are to count less; with ``COLUMN``."""
HELD_BY = 10.0
"""Labelled unknown objects after which the head is believed as much as what was believed before."""
_SURE = 1e-12
"""Probabilities are kept so far from 0 and 1: their odds are finite."""


def shrunk(probability: NDArray[Any], share: float, labelled: int) -> ScoreArray:
    """(N,) probabilities held to a share: (n p + m s) / (n + m), m = ``HELD_BY``.

    Args:
        probability: (N,) in [0, 1].
        share: s, in [0, 1].
        labelled: n, examples it was learned from.
    """
    p = np.asarray(probability, np.float64)
    return (labelled * p + HELD_BY * share) / (labelled + HELD_BY)


def kept(probability: NDArray[Any], share: float, labelled: int) -> ScoreArray:
    """(N,) how much items count: P(not unknown) if both were equally likely beforehand.

    1 / (1 + r^(n / (n + m))), r = (p / (1 - p)) / (s / (1 - s)), m = ``HELD_BY``: the share s of
    what is labelled is taken out of p, for it says little of footage that is new (Saerens, Latinne,
    Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities", Neural
    Computation 2002, with even new ones), and the evidence is held to none as long as few unknown
    objects are labelled. One half = nothing speaks for either.

    Args:
        probability: (N,) p, P(unknown) in [0, 1], as the head says it.
        share: s, in [0, 1]; all are one half at 0 and 1.
        labelled: n, unknown objects that it was learned from.
    """
    if not 0 < share < 1:
        return np.full(np.shape(probability), 0.5)
    p = np.clip(np.asarray(probability, np.float64), _SURE, 1 - _SURE)
    evidence = logit(p) - logit(share)
    return np.asarray(expit(-evidence * labelled / (labelled + HELD_BY)))


def share_unknown(answers: IntArray, known: int) -> float:
    """Share of unknown objects among labelled items, background included; 0 of none."""
    return float(np.mean(np.asarray(answers) == known)) if np.size(answers) else 0.0


def learn_unknown(trunk: Trunk, seed: int) -> Learned:
    """P(unknown object) and P(object) of every item of the pool, and how much it counts.

    Nothing before an unknown object is labelled.
    """
    count = int(np.count_nonzero(trunk.answers == trunk.known))
    if not count:
        return Learned()
    share = share_unknown(trunk.answers, trunk.known)
    if count == len(trunk.answers):
        ones = np.ones(trunk.size)
        return Learned(pool={COLUMN: ones, OBJECT: ones, KEPT: kept(ones, share, count)})
    from vidal.openset.known_training import head_unknown  # torch

    unknown, objects = head_unknown(trunk, seed)
    seen = float(np.mean(trunk.answers != BACKGROUND))
    told = {COLUMN: shrunk(unknown, share, count), OBJECT: shrunk(objects, seen, count)}
    return Learned(pool={**told, KEPT: kept(unknown, share, count)})


def unknown_of(pool: Pool) -> ScoreArray | None:
    """(N,) P(unknown object) of a pool's regions, in [0, 1]; None = nothing is known yet."""
    if pool.regions is None or COLUMN not in pool.regions.columns:
        return None
    return np.asarray(pool.regions.column(COLUMN), np.float64)


def kept_of(pool: Pool) -> ScoreArray | None:
    """(N,) how much a pool's regions count, in [0, 1]; None = nothing is known yet."""
    if pool.regions is None or KEPT not in pool.regions.columns:
        return None
    return np.asarray(pool.regions.column(KEPT), np.float64)


def known_objects(pool: Pool) -> ScoreArray | None:
    """(F,) share of a frame's objects that are of a known class, in [0, 1]; None = not known yet.

    1 - sum P(unknown) / sum P(object) over its regions: background is no object. 1 without
    regions, and where nothing looks like an object.
    """
    unknown = unknown_of(pool)
    if unknown is None:
        return None
    regions, count = regions_of(pool), len(pool)
    objects = np.maximum(regions.column(OBJECT), unknown)  # whatever the shrinking did
    sums = [np.bincount(regions.pos, weights=each, minlength=count) for each in (unknown, objects)]
    return 1 - np.divide(sums[0], sums[1], out=np.zeros(count), where=sums[1] > 0)


def mean_weight(pool: Pool, weight: ScoreArray) -> ScoreArray:
    """(F,) mean over a frame's regions of how much they count, in [0, 1].

    Of a frame without regions, which holds neither known nor unknown objects that anybody sees, the
    mean over all regions: it is put neither before the others nor behind them. 1 where there are
    none at all.
    """
    pos = regions_of(pool).pos
    counts = np.bincount(pos, minlength=len(pool))
    sums = np.bincount(pos, weights=weight, minlength=len(pool))
    neutral = float(np.mean(weight)) if len(weight) else 1.0
    return np.where(counts > 0, sums / np.maximum(1, counts), neutral)
