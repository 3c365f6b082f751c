"""The clips of a selection in numbers: all of them, in arrays, whatever the page has room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidal.selection.loads import FrameCounts
from vidal.types import BoolArray, IntArray, ScoreArray

ALARMS, DOUBTS, MISSES = range(3)
"""Columns of what is counted of doubtful boxes."""

Picks = Mapping[str, Sequence[tuple[int, int]]]
"""Clip id -> (rank from 1, index) of its selected frames, by index."""


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """C clips of K classes.

    Attributes:
        clips: their ids.
        picks: (C,) int64, selected frames.
        labelled: (C,) int64, frames that were labelled before.
        peak: (C, 2) float64, lowest and highest score; NaN where nothing was scored.
        detections: (C,) int64, of the selectable and the selected frames.
        doubts: (C, 3) int64, likely false alarms, unsure detections and likely misses on these.
        pool: (3, K) int64, detections, likely false alarms and likely misses on the same frames of
            all clips, by class; ``selected``: the same of the selected frames.
        scanned: selectable or selected frames that the detector looked at.
        selectable: frames that could be selected.
        said: (3,) int64, doubts on all frames, whether or not they could be selected.
        detected: a detector ran.
    """

    clips: tuple[str, ...]
    picks: IntArray
    labelled: IntArray
    peak: ScoreArray
    detections: IntArray
    doubts: IntArray
    pool: IntArray
    selected: IntArray
    scanned: int
    selectable: int
    said: IntArray
    detected: bool


def most_picked(picks: IntArray, peak: ScoreArray, count: int) -> list[int]:
    """Numbers of the clips that are drawn where there is room for so many.

    All of them in their order, where they are no more; else those with most selected frames, and of
    these that have as many those with the highest score.

    Args:
        picks, peak: as of ``Overview``.
        count: of clips that there is room for.
    """
    if len(picks) <= count:
        return list(range(len(picks)))
    order = np.lexsort((-np.nan_to_num(peak[:, 1], nan=-np.inf), -picks))
    return [int(number) for number in order[:count]]


@dataclass(slots=True)
class Tally:
    """Adds up what is counted of frames, part by part, in any order.

    Attributes:
        picks: of every clip that has any.
        masks: clip id -> (F,) bool, its selectable and selected frames.
        kept: clip id -> rows of ``errors_of`` so far, of the clips that are shown.
    """

    picks: Picks
    masks: Mapping[str, BoolArray]
    kept: dict[str, list[IntArray]]
    detections: IntArray
    doubts: IntArray
    pool: IntArray
    selected: IntArray
    said: IntArray
    scanned: int = 0
    detected: bool = False

    @staticmethod
    def of(
        picks: Picks, masks: Mapping[str, BoolArray], shown: Iterable[str], classes: int
    ) -> Tally:
        """Nothing yet."""
        count = len(masks)
        return Tally(
            picks,
            masks,
            {name: [] for name in shown},
            np.zeros(count, np.int64),
            np.zeros((count, 3), np.int64),
            np.zeros((3, classes), np.int64),
            np.zeros((3, classes), np.int64),
            np.zeros(3, np.int64),
        )

    def add(self, part: FrameCounts, number: int) -> None:
        """Frames of the clip of that number."""
        start, stop = part.start, part.start + len(part.scanned)
        mask = self.masks[part.clip][start:stop]
        by_class, doubts = _sums(part, np.flatnonzero(mask))
        self.detections[number] += by_class.sum()
        self.doubts[number] += doubts.sum(axis=0)
        self.pool += _three(by_class, doubts)
        mine = [at - start for _, at in self.picks.get(part.clip, ()) if start <= at < stop]
        if mine:
            self.selected += _three(*_sums(part, np.array(mine, np.int64)))
        self.said += part.doubts.sum(axis=(0, 1), dtype=np.int64)
        self.scanned += int(np.count_nonzero(mask & part.scanned))
        self.detected = True
        if part.clip in self.kept:
            self.kept[part.clip].append(errors_of(part))

    def errors(self, clip: str) -> IntArray:
        """(n, 4) frames of a clip that is shown where something is in doubt, in order."""
        parts = self.kept.get(clip) or [np.zeros((0, 4), np.int64)]
        rows = np.concatenate(parts)
        return rows[np.argsort(rows[:, 0], kind="stable")]


def errors_of(part: FrameCounts) -> IntArray:
    """(n, 4) frame, likely false alarms, unsure detections, likely misses; where there is any."""
    counts = part.doubts.sum(axis=1, dtype=np.int64)
    frames = np.flatnonzero(counts.any(axis=1))
    return np.concatenate([frames[:, None] + part.start, counts[frames]], axis=1)


def _sums(part: FrameCounts, frames: IntArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(K,) detections and (K, 3) doubts on these frames."""
    by_class = part.by_class[frames].sum(axis=0, dtype=np.int64)
    return by_class, part.doubts[frames].sum(axis=0, dtype=np.int64)


def _three(by_class: NDArray[np.int64], doubts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([by_class, doubts[:, ALARMS], doubts[:, MISSES]])
