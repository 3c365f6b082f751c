"""The evidence about every detection and every candidate of a clip, one row each.

Everything is symmetric in time: the two directions enter as their mean and their lesser, so that a
clip read backwards has the same rows. Columns are NaN where nothing can be known (beyond the ends
of the clip, frames that were not scanned).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal import boxes as geometry
from vidal.expected_errors.along import LONGEST_RUN, along_track, host_of, nearest_ways
from vidal.expected_errors.candidates import Expected, beyond, expected, open_ends
from vidal.expected_errors.nodes import Columns, Nodes, at, mean_of
from vidal.expected_errors.options import ExpectedErrorsOptions
from vidal.expected_errors.pairs import (
    Meetings,
    best_by_offset,
    link_detections,
    nearest_each_way,
    overlapping,
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

FREE = 3.0
"""Sizes of its own that a box is away from the border; further counts as this. Where in the image a
box lies is not evidence: it says which camera looks, and misleads under another one."""

Further = Callable[[IntArray, int], Carried]
"""(rows of detections, direction) -> these carried far in that direction; origins are rows."""


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


def gather_evidence(
    detections: Detections,
    carried: Carried,
    verdicts: ErrorEstimate | None,
    options: ExpectedErrorsOptions,
    *,
    size: tuple[int, int],
    further: Further | None = None,
) -> Evidence:
    """One clip's evidence.

    Args:
        detections: all rows above ``options.floor``.
        carried: those above ``options.carry``, up to ``options.window`` frames each way.
        verdicts: of temporal coherence; ``rows`` count rows of ``detections``. None = not known.
        options: threshold, window and reach are used.
        size: (H, W) of the frames.
        further: carries rows up to ``options.reach`` frames in one direction; None = nothing is
            carried beyond the window.
    """
    meetings, met = link_detections(detections, carried)
    if further is not None and options.reach > options.window:
        carried, met = _carry_on(detections, carried, met, meetings, further, options)
    places = expected(detections, carried, met, size=size)
    nodes = _nodes(detections, places, meetings)
    strong = detections.scores > options.threshold
    columns: Columns = {}
    columns.update(_own(detections, nodes, size))
    columns.update(_linked(detections, nodes, strong, options))
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


def _carry_on(
    detections: Detections,
    carried: Carried,
    met: BoolArray,
    meetings: Meetings,
    further: Further,
    options: ExpectedErrorsOptions,
) -> tuple[Carried, BoolArray]:
    """The carried boxes and, where tracks end, more of them; and which of them meet a detection."""
    least = min(options.carry, options.threshold)
    parts, marks = [carried], [met]
    for rows, direction in zip(open_ends(detections, meetings, least), (1, -1), strict=True):
        far, none = beyond(detections, further(rows, direction), options.window)
        parts.append(far)
        marks.append(none)
    columns = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("origin", "frame", "boxes", "trust")
    ]
    order = np.lexsort((columns[0], columns[1]))
    return Carried(*(column[order] for column in columns)), np.concatenate(marks)[order]


def _nodes(detections: Detections, places: Expected, meetings: Meetings) -> Nodes:
    n, more = len(detections), places.meetings
    return Nodes(
        frame=np.concatenate([detections.frame, places.frame]),
        boxes=np.concatenate([detections.boxes, places.boxes]),
        labels=np.concatenate([detections.labels, places.labels]),
        scores=np.concatenate([detections.scores, np.zeros(len(places), np.float32)]),
        meetings=Meetings(
            node=np.concatenate([meetings.node, more.node + n]),
            other=np.concatenate([meetings.other, more.other]),
            offset=np.concatenate([meetings.offset, more.offset]),
            affinity=np.concatenate([meetings.affinity, more.affinity]),
        ),
    )


def _own(detections: Detections, nodes: Nodes, size: tuple[int, int]) -> Columns:
    """What a box says by itself: score, class distribution, size and place."""
    height, width = size
    n, m = len(detections), len(nodes.frame) - len(detections)
    probs = detections.probs.astype(np.float32)
    top = np.sort(probs, axis=1)[:, -2:]
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    x1, y1, x2, y2 = nodes.boxes.T
    w, h = np.maximum(x2 - x1, 1e-3), np.maximum(y2 - y1, 1e-3)
    nothing = np.zeros(m, np.float32)
    border = np.minimum(np.minimum(x1, y1), np.minimum(width - x2, height - y2))
    end = np.minimum(nodes.frame, detections.frames - 1 - nodes.frame)
    return {
        "score": nodes.scores,
        "margin": np.concatenate([top[:, 1] - top[:, 0], nothing]),
        "entropy": np.concatenate([-(probs * logs).sum(axis=1), nothing]),
        "is detection": np.repeat([1.0, 0.0], [n, m]).astype(np.float32),
        "height": np.log(h / height),
        "width": np.log(w / width),
        "aspect": np.log(w / h),
        "border": np.minimum(border / np.sqrt(w * h), FREE),
        "clip end": np.minimum(end, LONGEST_RUN).astype(np.float32),
    }


def _linked(
    detections: Detections, nodes: Nodes, strong: BoolArray, options: ExpectedErrorsOptions
) -> Columns:
    """What the neighbouring frames say."""
    window, meetings = options.window, nodes.meetings.within(options.window)
    n, count = len(detections), len(nodes.frame)
    reached = nodes.frame[:, None] + np.arange(-window, window + 1)
    inside = (reached >= 0) & (reached < detections.frames)
    seen = inside & detections.scanned[np.where(inside, reached, 0)]
    seen[:, window] = False
    columns: Columns = {}
    anyone, near = best_by_offset(meetings, count, window, np.ones(n, np.bool_))
    for name, (other, affinity) in {
        "any": (anyone, near),
        "strong": best_by_offset(meetings, count, window, strong),
    }.items():
        scores = np.where(other >= 0, at(detections.scores, other), 0)
        columns.update(_both_ways(f"{name} affinity", affinity, seen, window))
        columns.update(_both_ways(f"{name} score", scores, seen, window))
        columns[f"{name} linked"] = mean_of((other >= 0).astype(np.float32), seen)
        columns[f"{name} mean score"] = mean_of(scores, seen)
    has = anyone >= 0
    agree = at(detections.labels, anyone) == nodes.labels[:, None]
    columns["class agreement"] = mean_of(agree.astype(np.float32), has)
    area = np.log(np.maximum(geometry.area(nodes.boxes), 1e-3))
    change = np.abs(at(area[:n], anyone) - area[:, None])
    columns["size change"] = mean_of(change, has)
    reach = max(options.reach, window)
    before, after = nearest_each_way(nodes.meetings, count)
    columns.update(nearest_ways(detections, nodes, before, after, reach))
    host = host_of(detections, nodes, before, after)
    columns.update(along_track(detections, nodes, anyone[:n], host, strong, window))
    return columns


def _both_ways(name: str, values: NDArray[Any], seen: BoolArray, window: int) -> Columns:
    """Mean and lesser of the two directions at every distance."""
    columns: Columns = {}
    for d in range(1, window + 1):
        sides = [window - d, window + d]
        both, known = values[:, sides].astype(np.float32), seen[:, sides]
        columns[f"{name} {d} mean"] = mean_of(both, known)
        known_only = np.where(known, both, np.float32(np.nan))
        columns[f"{name} {d} least"] = np.fmin(known_only[:, 0], known_only[:, 1])
    return columns


def _same_frame(detections: Detections, nodes: Nodes, strong: BoolArray) -> Columns:
    """What else is in the frame: overlapping boxes and crowding."""
    count = len(nodes.frame)
    order = np.argsort(nodes.frame, kind="stable")
    left, right, iou = overlapping(
        (nodes.frame[order], nodes.boxes[order]), (detections.frame, detections.boxes), 0.05
    )
    left = order[left]
    apart = left != right
    left, right, iou = left[apart], right[apart], iou[apart]
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


def _cut(nodes: Nodes, verdicts: ErrorEstimate | None) -> Columns:
    """The verdict of temporal coherence on a detection, or on the place of a candidate."""
    count = len(nodes.frame)
    verdict, sure = np.full(count, np.nan, np.float32), np.full(count, np.nan, np.float32)
    if verdicts is None:
        return {"cut verdict": verdict, "cut confidence": sure}
    verdict[:], sure[:] = 0, 0
    order = np.argsort(nodes.frame, kind="stable")
    left, right, _ = overlapping(
        (nodes.frame[order], nodes.boxes[order]),
        (verdicts.missed_frame, verdicts.missed_boxes),
        0.5,
    )
    np.maximum.at(verdict, order[left], verdicts.missed[right].astype(np.float32))
    np.maximum.at(sure, order[left], verdicts.missed_confidence[right])
    verdict[verdicts.rows] = verdicts.false_positive
    sure[verdicts.rows] = verdicts.false_positive_confidence
    return {"cut verdict": verdict, "cut confidence": sure}
