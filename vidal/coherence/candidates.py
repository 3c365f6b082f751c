"""Candidates: places where neighbouring frames expect an object and this frame has none.

The paper calls a track unmatched if it "overlaps no local detection", and leaves open what counts
as an overlap. Here a track is unmatched if its detection is linked to no detection of the frame it
was carried to. The alternatives lose errors: if any overlap counted, of whatever class, a detection
whose class flips in one frame would hide the tracks of its own object, keep no neighbour at all and
be called right; with this reading a flip costs one false positive (the new class) and one false
negative (the old class). It also leaves no gap at an overlap between 0 and theta, where a track
would otherwise be neither linked nor unmatched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidal import boxes
from vidal.arrays import components
from vidal.coherence.options import CoherenceOptions
from vidal.types import Detections, FloatArray, IntArray, Links, frozen


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Places where an object may have been missed, sorted by frame, class and box.

    Attributes:
        frame: (M,) int64.
        boxes: (M, 4) float32, inside the image.
        labels: (M,) int64.
        candidate, origin: (E,) int64: candidate and detection of every track that expects it.
    """

    frame: IntArray
    boxes: FloatArray
    labels: IntArray
    candidate: IntArray
    origin: IntArray

    def __post_init__(self) -> None:
        m, e = len(self.frame), len(self.candidate)
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "frame": (np.int64, (m,)),
            "boxes": (np.float32, (m, 4)),
            "labels": (np.int64, (m,)),
            "candidate": (np.int64, (e,)),
            "origin": (np.int64, (e,)),
        }
        for name, (dtype, shape) in shapes.items():
            object.__setattr__(self, name, frozen(getattr(self, name), dtype, shape, name))

    def __len__(self) -> int:
        return len(self.frame)


def candidates(
    detections: Detections, links: Links, options: CoherenceOptions, *, size: tuple[int, int]
) -> Candidates:
    """Gather unmatched tracks into candidates.

    Args:
        detections: the judged rows of one clip.
        links: their links, with the carried boxes.
        options: ``clustering``, ``cluster_iou`` and ``same_class`` are used.
        size: (H, W) of the frames.
    """
    unmatched = np.flatnonzero(~links.used)
    frame = links.carried.frame[unmatched]
    origin = links.carried.origin[unmatched]
    track_boxes = boxes.clip(links.carried.boxes[unmatched], size)
    labels = detections.labels[origin]
    if options.clustering == "greedy":
        cluster = _greedy(frame, track_boxes, options.cluster_iou)
    elif options.clustering == "components":
        classes = labels if options.same_class else np.zeros_like(labels)
        cluster = _components(frame, classes, track_boxes, options.cluster_iou)
    else:
        cluster = np.arange(len(frame), dtype=np.int64)
    if options.clustering == "components":
        place, label = _medians(cluster, track_boxes), _majority(cluster, labels)
    else:
        seeds = np.unique(cluster, return_index=True)[1]
        place, label = track_boxes[seeds], labels[seeds]
    when = frame[np.unique(cluster, return_index=True)[1]]
    order = np.lexsort((*place.T[::-1], label, when))
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    return Candidates(when[order], place[order], label[order], position[cluster], origin)


def _overlapping(
    frame: IntArray, track_boxes: FloatArray, threshold: float
) -> tuple[IntArray, IntArray]:
    first, second, _ = boxes.overlapping_within((frame, track_boxes), threshold)
    return first, second


def _components(
    frame: IntArray, classes: IntArray, track_boxes: FloatArray, threshold: float
) -> IntArray:
    first, second = _overlapping(frame, track_boxes, threshold)
    same = classes[first] == classes[second]
    first, second = first[same], second[same]
    count = len(frame)
    if not count:
        return np.zeros(0, dtype=np.int64)
    return components(count, first, second)


def _greedy(frame: IntArray, track_boxes: FloatArray, threshold: float) -> IntArray:
    """Number of the cluster of every track, one seed of every frame at a time."""
    first, second = _overlapping(frame, track_boxes, threshold)
    seed = np.full(len(frame), -1, dtype=np.int64)
    while (free := np.flatnonzero(seed < 0)).size:
        seeds = free[np.unique(frame[free], return_index=True)[1]]
        seed[seeds] = seeds
        grows = np.isin(first, seeds) & (seed[second] < 0)
        seed[second[grows]] = first[grows]
    return np.unique(seed, return_inverse=True)[1].astype(np.int64)


def _medians(cluster: IntArray, values: FloatArray) -> FloatArray:
    """(M, 4) median of every column within every cluster; the mean of the two middle ones."""
    sizes = np.bincount(cluster)
    starts = np.cumsum(sizes) - sizes
    low, high = starts + (sizes - 1) // 2, starts + sizes // 2
    result = np.empty((len(sizes), values.shape[1]), dtype=np.float32)
    for column in range(values.shape[1]):
        ordered = values[np.lexsort((values[:, column], cluster)), column]
        result[:, column] = (ordered[low] + ordered[high]) / 2
    return result


def _majority(cluster: IntArray, labels: IntArray) -> IntArray:
    """(M,) the most frequent label of every cluster; of equally frequent ones the lowest."""
    if not len(cluster):
        return np.zeros(0, dtype=np.int64)
    classes = int(labels.max()) + 1
    votes = np.bincount(cluster * classes + labels, minlength=(int(cluster.max()) + 1) * classes)
    return votes.reshape(-1, classes).argmax(axis=1).astype(np.int64)
