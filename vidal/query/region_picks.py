"""Frames from picks of detections: a rule that chooses regions, a budget that counts frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from vidal.query import exclusion
from vidal.query.pools import regions_of
from vidal.types import AnyGap, IntArray, Pool

Rule = Callable[[int], IntArray]
"""Number of regions -> rows of them, the most wanted first; all rows where it is all of them."""


def frames_of_picks(pool: Pool, rule: Rule, budget: int, rng: Generator, gap: AnyGap) -> IntArray:
    """At most ``budget`` positions: frames of the regions that a rule picks, in that order.

    The rule is asked for as many regions as frames are wanted, and for twice as many again as long
    as too few frames come of them (several regions lie in one frame, or too near to one). Frames
    without regions come last, in random order. On images, which have one region each, the picks
    are the rule's own.

    Args:
        pool: with regions.
        rule: picks regions; distinct rows.
        budget: frames.
        rng: orders what the rule says nothing of.
        gap: between chosen or labelled frames of a clip, see ``Gap``.
    """
    regions = regions_of(pool)
    rest = rng.permutation(len(pool))
    free = exclusion.away_from_labelled(pool.frames, pool.labelled, gap)
    count, named = budget, np.zeros(0, np.int64)
    while count and len(regions):
        rows = rule(min(count, len(regions)))
        named = _distinct(np.concatenate([named, regions.pos[rows]]))
        if count >= len(regions):
            break
        if len(exclusion.thin(pool.frames, pool.labelled, named, gap)) >= budget:
            break
        count *= 2
    order = _distinct(np.concatenate([named, rest]))
    return exclusion.thin(pool.frames, pool.labelled, order[free[order]], gap)[:budget]


def _distinct(positions: IntArray) -> IntArray:
    """Each once, where it stood first."""
    _, first = np.unique(positions, return_index=True)
    return positions[np.sort(first)]
