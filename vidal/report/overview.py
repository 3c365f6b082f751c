"""The clips of a selection in numbers: all of them, in arrays, whatever the page has room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
        masks: clip id -> (F,) bool, its selectable and selected frames.
        kept: clip id -> rows of ``errors_of`` so far, of the clips that are drawn.
        detections, doubts, pool, said, scanned, detected: as of ``Overview``.
    """

    masks: Mapping[str, BoolArray]
    kept: dict[str, list[IntArray]]
    detections: IntArray
    doubts: IntArray
    pool: IntArray
    said: IntArray
    scanned: int = 0
    detected: bool = False

    @staticmethod
    def of(masks: Mapping[str, BoolArray], drawn: Iterable[str], classes: int) -> Tally:
        """Nothing yet."""
        count, kept = len(masks), dict[str, list[IntArray]]()
        for name in drawn:
            kept[name] = []
        none = [np.zeros(shape, np.int64) for shape in ((count,), (count, 3), (3, classes), (3,))]
        return Tally(masks, kept, none[0], none[1], none[2], none[3])

    def add(self, part: FrameCounts, number: int) -> None:
        """Frames of the clip of that number."""
        mask = self.masks[part.clip][part.start : part.start + len(part.scanned)]
        frames = np.flatnonzero(mask)
        self.pool += by_class(part, frames)
        self.detections[number] += part.by_class[frames].sum(dtype=np.int64)
        totals = _by_frame(part)
        self.doubts[number] += totals[frames].sum(axis=0)
        self.said += totals.sum(axis=0)
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
    counts = _by_frame(part)
    frames = np.flatnonzero(counts.any(axis=1))
    return np.concatenate([frames[:, None] + part.start, counts[frames]], axis=1)


def by_class(part: FrameCounts, frames: IntArray) -> IntArray:
    """(3, K) detections, likely false alarms and likely misses on these frames, by class.

    Of doubts only where the part tells their classes.
    """
    found = part.by_class[frames].sum(axis=0, dtype=np.int64)
    doubts = np.zeros((len(found), 3), np.int64)
    if part.doubts.ndim == 3:
        doubts = part.doubts[frames].sum(axis=0, dtype=np.int64)
    return np.stack([found, doubts[:, ALARMS], doubts[:, MISSES]])


def _by_frame(part: FrameCounts) -> IntArray:
    """(n, 3) doubts of all classes together."""
    doubts = part.doubts.sum(axis=1, dtype=np.int64) if part.doubts.ndim == 3 else part.doubts
    return doubts.astype(np.int64)
