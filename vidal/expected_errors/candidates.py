"""Places where neighbouring frames expect an object: carried boxes that meet no detection.

With the weak detections they are the candidates for missed objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidal import boxes as geometry
from vidal.arrays import components
from vidal.expected_errors.pairs import Meetings
from vidal.types import BoolArray, Carried, Detections, FloatArray, IntArray

CLUSTER_IOU = 0.5
"""Carried boxes of one frame that overlap more (strictly) expect the same object."""


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Clusters of carried boxes that meet no detection, sorted by frame.

    Attributes:
        frame: (M,) int64.
        boxes: (M, 4) float32, inside the image: the mean of the carried boxes, weighted by score
            and trust.
        labels: (M,) int64: the class of the best-scored detection that is expected there.
        meetings: each cluster with the detections that were carried to it; ``node`` counts clusters
            and the affinity is the IoU of the carried box with the cluster's.
    """

    frame: IntArray
    boxes: FloatArray
    labels: IntArray
    meetings: Meetings

    def __len__(self) -> int:
        return len(self.frame)


def expected(
    detections: Detections, carried: Carried, met: BoolArray, *, size: tuple[int, int]
) -> Expected:
    """Cluster the carried boxes that meet no detection.

    Args:
        detections: the clip's table.
        carried: its rows carried to neighbouring frames.
        met: (P,) bool: carried boxes that meet a detection.
        size: (H, W) of the frames.
    """
    lone = np.flatnonzero(~met)
    boxes = geometry.clip(carried.boxes[lone], size)
    solid = geometry.area(boxes) > 0
    lone, boxes = lone[solid], boxes[solid]
    frame, origin = carried.frame[lone], carried.origin[lone]
    cluster = _components(frame, boxes)
    count = int(cluster.max()) + 1 if len(cluster) else 0
    weight = np.maximum(detections.scores[origin] * carried.trust[lone], 1e-6).astype(np.float64)
    total = np.bincount(cluster, weights=weight, minlength=count)
    sides = [np.bincount(cluster, weights=weight * side, minlength=count) for side in boxes.T]
    place = (np.stack(sides, axis=1) / total[:, None]).astype(np.float32)
    order = np.lexsort((origin, -detections.scores[origin], cluster))
    first = order[np.unique(cluster[order], return_index=True)[1]]
    affinity = geometry.iou_pairs(boxes, place[cluster]).astype(np.float32)
    meetings = Meetings.of(cluster, origin, detections.frame[origin] - frame, affinity)
    return Expected(frame[first], place, detections.labels[origin[first]], meetings)


def _components(frame: IntArray, boxes: FloatArray) -> IntArray:
    """(P,) number of the cluster of every box; numbers rise with the frame."""
    count = len(frame)
    if not count:
        return np.zeros(0, dtype=np.int64)
    left, right, _ = geometry.overlapping_within((frame, boxes), CLUSTER_IOU)
    cluster = components(count, left, right)
    first = np.unique(cluster, return_index=True)[1]
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.lexsort((first, frame[first]))] = np.arange(len(first))
    return rank[cluster]
