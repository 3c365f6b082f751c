"""What methods share that score items and ask for frames: folding, and reasons in words.

A region's score becomes a frame's by the mean of the highest ones (``top``): open_set.md, section
0. On images a frame is its one item. Frames without detections come last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.query.pools import regions_of
from vidal.query.region_scores import named
from vidal.query.regions import Fold, fold
from vidal.types import Explanation, IntArray, Pool, ScoreArray


def frame_scores(pool: Pool, values: ScoreArray, how: Fold, top: int) -> ScoreArray:
    """(F,) values (N,) of detections folded; a frame without any gets the lowest of the pool."""
    lowest = float(values.min()) if len(values) else 0.0
    return fold(values, regions_of(pool).pos, len(pool), how, top, lowest)


def reasons(
    pool: Pool,
    positions: IntArray,
    values: ScoreArray,
    say: Callable[[int], str],
    parts: Mapping[str, NDArray[Any]],
) -> Explanation:
    """Of each frame: its most wanted detection in words, and parts of the score of that one.

    Args:
        pool: with regions.
        positions: (n,) frames.
        values: (N,) of detections, higher = ask.
        say: row of a detection -> why it is wanted.
        parts: name -> (N,); frames without detections get 0.
    """
    regions = regions_of(pool)
    counts = np.bincount(regions.pos, minlength=len(pool))[positions]
    firsts = np.searchsorted(regions.pos, positions)
    rows, words = np.full(len(positions), -1), []
    for i, (first, count) in enumerate(zip(firsts.tolist(), counts.tolist(), strict=True)):
        if not count:
            words.append("no detections")
            continue
        rows[i] = first + int(np.argmax(values[first : first + count]))
        words.append(f"{say(int(rows[i]))}; {named(pool, int(rows[i]))}")
    found = {
        name: np.where(rows >= 0, each[rows], 0) if len(each) else np.zeros(len(rows))
        for name, each in parts.items()
    }
    return Explanation(tuple(words), {**found, "detections": counts.astype(np.int64)})
