"""The evidence about every detection and every candidate of a clip, one row each.

Everything is symmetric in time: the two directions enter as their mean and their lesser, so that a
clip read backwards has the same rows. Columns are NaN where nothing can be known (beyond the ends
of the clip, frames that were not scanned).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal import boxes as geometry
from vidal.expected_errors.candidates import Expected, expected
from vidal.expected_errors.options import ExpectedErrorsOptions
from vidal.expected_errors.pairs import (
    Meetings,
    best_by_offset,
    link_detections,
    tracks,
)
from vidal.types import (
    BoolArray,
    Carried,
    Detections,
    ErrorEstimate,
    FloatArray,
    IntArray,
    frozen,
)

LONGEST_RUN = 20
"""Frames: longer runs and distances to the ends of the clip count as this."""
PLACE = frozenset({"border x", "border y", "bottom"})
"""Columns that say where in the image a box lies. They help under the camera that they were learned
from and mislead under another one."""
FAR = 10
"""Frames each way of the wider look along a track."""

Columns = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What may be an error, with its evidence, sorted by frame.

    Attributes:
        frame: (R,) int64.
        boxes: (R, 4) float32.
        labels: (R,) int64.
        evidence: (R, C) float32, may hold NaN.
        columns: names of the C columns.
    """

    frame: IntArray
    boxes: FloatArray
    labels: IntArray
    evidence: FloatArray
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.frame)
        object.__setattr__(self, "frame", frozen(self.frame, np.int64, (None,), "frame"))
        object.__setattr__(self, "boxes", frozen(self.boxes, np.float32, (n, 4), "boxes"))
        object.__setattr__(self, "labels", frozen(self.labels, np.int64, (n,), "labels"))
        if self.evidence.shape[0] != n or self.evidence.dtype != np.float32:
            raise ValueError(f"evidence: expected {n} rows of float32")

    def __len__(self) -> int:
        return len(self.frame)

    def column(self, name: str) -> FloatArray:
        """(R,) one column of the evidence."""
        return self.evidence[:, self.columns.index(name)]

    def keep(self, rows: BoolArray) -> Rows:
        """Some of them, (R,) bool."""
        where = self.frame[rows], self.boxes[rows], self.labels[rows]
        return Rows(*where, self.evidence[rows], self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The evidence of one clip.

    Attributes:
        frames: length of the clip.
        columns: names of the evidence columns.
        detections: the rows above the threshold; may be false positives.
        rows: (R,) int64: their rows in the clip's table.
        candidates: weaker detections and expected boxes without one; may be missed objects.
    """

    frames: int
    columns: tuple[str, ...]
    detections: Rows
    rows: IntArray
    candidates: Rows

    def on(self, frames: BoolArray) -> Evidence:
        """The rows on some frames, (F,) bool."""
        first, second = (frames[each.frame] for each in (self.detections, self.candidates))
        return replace(
            self,
            detections=self.detections.keep(first),
            rows=self.rows[first],
            candidates=self.candidates.keep(second),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """Detections 0..N-1 and, after them, expected boxes N..N+M-1."""

    frame: IntArray
    boxes: FloatArray
    labels: IntArray
    scores: FloatArray
    meetings: Meetings


def gather_evidence(
    detections: Detections,
    carried: Carried,
    verdicts: ErrorEstimate | None,
    options: ExpectedErrorsOptions,
    *,
    size: tuple[int, int],
) -> Evidence:
    """One clip's evidence.

    Args:
        detections: all rows above ``options.floor``.
        carried: those above ``options.carry``, up to ``options.window`` frames each way.
        verdicts: of temporal coherence; ``rows`` count rows of ``detections``. None = not known.
        options: threshold and window are used.
        size: (H, W) of the frames.
    """
    meetings, met = link_detections(detections, carried, options.settled.same)
    places = expected(detections, carried, met, size=size)
    nodes = _nodes(detections, places, meetings)
    strong = detections.scores > options.threshold
    columns: Columns = {}
    columns.update(_own(detections, nodes, size))
    columns.update(_linked(detections, nodes, strong, options.window))
    columns.update(_same_frame(detections, nodes, strong))
    columns.update(_cut(nodes, verdicts))
    table = np.stack(list(columns.values()), axis=1).astype(np.float32, copy=False)
    names = tuple(columns)
    above = np.flatnonzero(strong)
    rest = np.concatenate([np.flatnonzero(~strong), np.arange(len(detections), len(nodes.frame))])
    rest = rest[np.argsort(nodes.frame[rest], kind="stable")]

    def rows(which: IntArray) -> Rows:
        where = nodes.frame[which], nodes.boxes[which], nodes.labels[which]
        return Rows(*where, table[which], names)

    return Evidence(detections.frames, names, rows(above), above, rows(rest))


def _nodes(detections: Detections, places: Expected, meetings: Meetings) -> _Nodes:
    n, more = len(detections), places.meetings
    return _Nodes(
        frame=np.concatenate([detections.frame, places.frame]),
        boxes=np.concatenate([detections.boxes, places.boxes]),
        labels=np.concatenate([detections.labels, places.labels]),
        scores=np.concatenate([detections.scores, np.zeros(len(places), np.float32)]),
        meetings=Meetings.join([meetings, replace(more, node=more.node + np.int32(n))]),
    )


def _own(detections: Detections, nodes: _Nodes, size: tuple[int, int]) -> Columns:
    """What a box says by itself: score, class distribution, size and place."""
    height, width = size
    n, m = len(detections), len(nodes.frame) - len(detections)
    probs = detections.probs.astype(np.float32)
    # Files without any detection name no class: one column is left.
    top = np.sort(np.pad(probs, ((0, 0), (1, 0))), axis=1)[:, -2:]
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    x1, y1, x2, y2 = nodes.boxes.T
    w, h = np.maximum(x2 - x1, 1e-3), np.maximum(y2 - y1, 1e-3)
    nothing = np.zeros(m, np.float32)
    end = np.minimum(nodes.frame, detections.frames - 1 - nodes.frame)
    return {
        "score": nodes.scores,
        "margin": np.concatenate([top[:, 1] - top[:, 0], nothing]),
        "entropy": np.concatenate([-(probs * logs).sum(axis=1), nothing]),
        "is detection": np.repeat([1.0, 0.0], [n, m]).astype(np.float32),
        "height": np.log(h / height),
        "width": np.log(w / width),
        "aspect": np.log(w / h),
        "border x": np.minimum(x1, width - x2) / width,
        "border y": np.minimum(y1, height - y2) / height,
        "bottom": y2 / height,
        "clip end": np.minimum(end, LONGEST_RUN).astype(np.float32),
    }


def _linked(detections: Detections, nodes: _Nodes, strong: BoolArray, window: int) -> Columns:
    """What the neighbouring frames say."""
    n, count = len(detections), len(nodes.frame)
    reached = (nodes.frame + np.arange(-window, window + 1)[:, None]).T
    inside = (reached >= 0) & (reached < detections.frames)
    seen = inside & detections.scanned[np.where(inside, reached, 0)]
    seen[:, window] = False
    columns: Columns = {}
    anyone, near = best_by_offset(nodes.meetings, count, window, np.ones(n, np.bool_))
    for name, (other, affinity) in {
        "any": (anyone, near),
        "strong": best_by_offset(nodes.meetings, count, window, strong),
    }.items():
        scores = np.where(other >= 0, _at(detections.scores, other), 0)
        columns.update(_both_ways(f"{name} affinity", affinity, seen, window))
        columns.update(_both_ways(f"{name} score", scores, seen, window))
        columns[f"{name} linked"] = _mean((other >= 0).astype(np.float32), seen)
        columns[f"{name} mean score"] = _mean(scores, seen)
    has = anyone >= 0
    agree = _at(detections.labels, anyone) == nodes.labels[:, None]
    columns["class agreement"] = _mean(agree.astype(np.float32), has)
    area = np.log(np.maximum(geometry.area(nodes.boxes), 1e-3))
    change = np.abs(_at(area[:n], anyone) - area[:, None])
    columns["size change"] = _mean(change, has)
    columns.update(_along_track(detections, nodes, anyone, strong, window))
    return columns


def _at(values: NDArray[Any], other: IntArray) -> NDArray[Any]:
    """``values[other]`` with any value where there is no other."""
    return values[np.maximum(other, 0)] if len(values) else np.zeros(other.shape, values.dtype)


def _mean(values: NDArray[Any], mask: BoolArray) -> FloatArray:
    """(R,) mean over the columns of the mask; NaN where it is empty."""
    total = np.where(mask, values, 0).sum(axis=1, dtype=np.float32)
    count = mask.sum(axis=1)
    return np.divide(total, count, out=np.full(len(total), np.nan, np.float32), where=count > 0)


def _both_ways(name: str, values: NDArray[Any], seen: BoolArray, window: int) -> Columns:
    """Mean and lesser of the two directions at every distance."""
    columns: Columns = {}
    for d in range(1, window + 1):
        sides = [window - d, window + d]
        both, known = values[:, sides].astype(np.float32), seen[:, sides]
        columns[f"{name} {d} mean"] = _mean(both, known)
        known_only = np.where(known, both, np.float32(np.nan))
        columns[f"{name} {d} least"] = np.fmin(known_only[:, 0], known_only[:, 1])
    return columns


def _along_track(
    detections: Detections, nodes: _Nodes, anyone: IntArray, strong: BoolArray, window: int
) -> Columns:
    """Length, scores and class of the track that a node lies on."""
    n, count = len(detections), len(nodes.frame)
    number = tracks(anyone[:n], window)
    # An expected box lies on the track of the detection that expects it from nearest by.
    nearest = _nearest(anyone[n:], detections.scores, window)
    host = np.concatenate([np.arange(n, dtype=np.int64), nearest])
    if not n:
        number = np.zeros(1, dtype=np.int64)
    mine = number[host]
    order = np.lexsort((detections.frame, number[:n]))
    span = np.int64(detections.frames + 2 * FAR + 2)
    key = number[:n][order] * span + detections.frame[order] + FAR
    wanted = mine * span + nodes.frame + FAR
    # Ascending questions are answered several times as fast.
    rising = np.argsort(wanted)
    low, high = np.empty(count, np.int64), np.empty(count, np.int64)
    low[rising] = np.searchsorted(key, wanted[rising] - FAR, side="left")
    high[rising] = np.searchsorted(key, wanted[rising] + FAR, side="right")
    length = np.bincount(number[:n], minlength=len(number))
    end = np.cumsum(length)[mine]
    begin = end - length[mine]
    score = detections.scores.astype(np.float64)
    tables = {"score": score, "square": score**2, "strong": strong.astype(np.float64)}
    sums = {name: _between(values[order], low, high) for name, values in tables.items()}
    inside = np.maximum(high - low, 1)
    mean = sums["score"] / inside
    variance = sums["square"] / inside - mean**2
    ends = (
        np.stack(
            [
                nodes.frame - detections.frame[order][begin],
                detections.frame[order][np.maximum(end - 1, 0)] - nodes.frame,
            ]
        )
        if n
        else np.zeros((2, count))
    )
    runs = np.clip(ends, 0, LONGEST_RUN)
    return {
        "run": runs.sum(axis=0).astype(np.float32),
        "lesser run": runs.min(axis=0).astype(np.float32),
        "track score": mean.astype(np.float32),
        "track spread": np.sqrt(np.maximum(variance, 0)).astype(np.float32),
        "track dip": (nodes.scores - mean).astype(np.float32),
        "track strong": (sums["strong"] / inside).astype(np.float32),
        "track seen": (high - low).astype(np.float32),
    }


_UNIT = 2.0**56
"""Squares of float32 from 1/32 on are whole numbers of its parts."""


def _between(values: NDArray[np.float64], low: IntArray, high: IntArray) -> NDArray[np.float64]:
    """Sums of ``values[low:high]``, at most 2 FAR + 1 of them in [0, 1].

    Differences of running sums, in whole numbers: as floats they would be rounded by what lies
    before, and the same track would have another spread in a longer clip. The running sum may
    overflow; no difference does.
    """
    whole = np.rint(values * _UNIT).astype(np.uint64)
    sums = np.append(np.uint64(0), np.cumsum(whole, dtype=np.uint64))
    return (sums[high] - sums[low]).astype(np.float64) / _UNIT


def _nearest(anyone: IntArray, scores: FloatArray, window: int) -> IntArray:
    """(M,) the other at the smallest distance, of two the better scored."""
    if not len(anyone):
        return np.zeros(0, dtype=np.int64)
    far = np.abs(np.arange(-window, window + 1))
    rank = np.where(anyone >= 0, far - 0.5 * _at(scores, anyone), np.inf)
    return anyone[np.arange(len(rank)), rank.argmin(axis=1)]


def _same_frame(detections: Detections, nodes: _Nodes, strong: BoolArray) -> Columns:
    """What else is in the frame: overlapping boxes and crowding."""
    n, count = len(detections), len(nodes.frame)
    table = detections.frame, detections.boxes
    one, two, shared = geometry.overlapping_within(table, 0.05)
    place, near, part = geometry.overlapping((nodes.frame[n:], nodes.boxes[n:]), table, 0.05)
    left = np.concatenate([one, two, place + n])
    right = np.concatenate([two, one, near])
    iou = np.concatenate([shared, shared, part])
    better = detections.scores[right] > nodes.scores[left]
    overlap, overlap_better, above = (np.zeros(count, np.float32) for _ in range(3))
    np.maximum.at(overlap, left, iou)
    np.maximum.at(overlap_better, left[better], iou[better])
    firm = strong[right]
    np.maximum.at(above, left[firm], iou[firm])
    frames = detections.frames
    many = np.bincount(detections.frame[strong], minlength=frames)
    weak = ~strong
    mass = np.bincount(detections.frame[weak], weights=detections.scores[weak], minlength=frames)
    return {
        "overlap": overlap,
        "overlap better": overlap_better,
        "overlap strong": above,
        "neighbours": np.bincount(left, minlength=count).astype(np.float32),
        "frame strong": many[nodes.frame].astype(np.float32),
        "frame weak": mass[nodes.frame].astype(np.float32),
    }


def _cut(nodes: _Nodes, verdicts: ErrorEstimate | None) -> Columns:
    """The verdict of temporal coherence on a detection, or on the place of a candidate."""
    count = len(nodes.frame)
    verdict, sure = np.full(count, np.nan, np.float32), np.full(count, np.nan, np.float32)
    if verdicts is None:
        return {"cut verdict": verdict, "cut confidence": sure}
    verdict[:], sure[:] = 0, 0
    order = np.argsort(nodes.frame, kind="stable")
    left, right, _ = geometry.overlapping(
        (nodes.frame[order], nodes.boxes[order]),
        (verdicts.missed_frame, verdicts.missed_boxes),
        0.5,
    )
    np.maximum.at(verdict, order[left], verdicts.missed[right].astype(np.float32))
    np.maximum.at(sure, order[left], verdicts.missed_confidence[right])
    verdict[verdicts.rows] = verdicts.false_positive
    sure[verdicts.rows] = verdicts.false_positive_confidence
    return {"cut verdict": verdict, "cut confidence": sure}
