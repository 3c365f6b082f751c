"""Pseudo-labels: detections that a whole run of linked detections speaks for.

Thesis, Section 3.4 (two-model scheme), carried over to detection in video: there labels that a
classifier does not waver about over training, here detections that do not waver over frames. What
the detector is unsure of on the same frames becomes a region that is neither object nor background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidal.arrays import components
from vidal.errors import UsageError
from vidal.types import (
    Annotations,
    BoolArray,
    Detections,
    ErrorEstimate,
    FloatArray,
    IntArray,
    Links,
    ScoreArray,
)


@dataclass(frozen=True, slots=True)
class PseudoLabelOptions:
    """Which detections become labels, and how many frames of them are trained on.

    Attributes:
        confidence: a label's detection has at least this score, in [0, 1].
        run: it is one of a run of linked detections of its class, all of them right by these
            rules, over at least so many frames; 1 = no run is asked for.
        false_alarm: expected errors give it at most this probability of being a false alarm; after
            few labels they commit themselves little, and rarely go below 0.3.
        floor: other detections of the frame with at least this score are left out of account;
            what scores less is background.
        ratio: at most so many pseudo-labelled frames for every labelled one: they hold what is
            easy, and take steps from the labels, which hold what is hard.
        spacing: frames on either side of one that is taken which are not taken, too.
    """

    confidence: float = 0.9
    run: int = 3
    false_alarm: float = 0.35
    floor: float = 0.1
    ratio: float = 0.5
    spacing: int = 3

    def __post_init__(self) -> None:
        for name in ("confidence", "false_alarm", "floor"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)!r} is not in [0, 1].")
        if self.run < 1 or self.spacing < 0:
            raise UsageError(f"run {self.run!r} is below 1, or spacing {self.spacing!r} negative.")
        if not 0 < self.ratio <= 100:
            raise UsageError(f"ratio {self.ratio!r} is not in (0, 100].")


def sure(
    detections: Detections,
    links: Links,
    false_positive: BoolArray,
    false_alarm: ScoreArray,
    options: PseudoLabelOptions,
) -> BoolArray:
    """(N,) bool: detections that may serve as labels.

    Args:
        detections: the N judged rows of one clip.
        links: of these rows; only links of one class count.
        false_positive: (N,) bool, the cut's verdicts.
        false_alarm: (N,) probability of being a false alarm; NaN = not known, never sure.
        options: ``confidence``, ``run`` and ``false_alarm`` are used.
    """
    right = (
        (detections.scores >= np.float32(options.confidence))
        & ~false_positive
        & (false_alarm <= options.false_alarm)
    )
    if options.run < 2 or not right.any():
        return right
    same = detections.labels[links.src] == detections.labels[links.dst]
    held = right[links.src] & right[links.dst] & same
    run = components(len(detections), links.src[held], links.dst[held])
    return right & (_lengths(run, detections.frame)[run] >= options.run)


def _lengths(run: IntArray, frame: IntArray) -> IntArray:
    """(R,) different frames of every run."""
    pairs = np.unique(np.stack([run, frame]), axis=1)
    return np.bincount(pairs[0], minlength=int(run.max()) + 1).astype(np.int64)


def pseudo_annotations(
    detections: Detections,
    rows: IntArray,
    estimate: ErrorEstimate,
    *,
    allowed: BoolArray,
    floor: float,
) -> Annotations:
    """The clip's frames that hold sure detections, as labels; all that is unsure is ignored.

    Args:
        detections: all of the clip.
        rows: of those that serve as labels.
        estimate: its candidates are places where an object may have been missed: ignored too.
        allowed: (F,) bool, frames that may be taken.
        floor: other detections with at least this score are ignored; weaker ones are background.
    """
    chosen = np.zeros(len(detections), np.bool_)
    chosen[rows] = True
    taken = np.zeros(detections.frames, np.bool_)
    taken[detections.frame[chosen]] = True
    taken &= allowed
    kept = np.flatnonzero(taken[detections.frame] & (chosen | (detections.scores >= floor)))
    places = estimate.missed_boxes
    solid = (places[:, 2:] > places[:, :2]).all(axis=1)
    open_ = np.flatnonzero(taken[estimate.missed_frame] & solid)
    frame = np.concatenate([detections.frame[kept], estimate.missed_frame[open_]])
    order = np.argsort(frame, kind="stable")
    count = len(order)
    return Annotations(
        classes=detections.classes,
        labelled=taken,
        frame=frame[order],
        boxes=_joined(detections.boxes[kept], places[open_])[order],
        labels=np.concatenate([detections.labels[kept], estimate.missed_label[open_]])[order],
        track=np.full(count, -1, np.int64),
        ignore=np.concatenate([~chosen[kept], np.ones(len(open_), np.bool_)])[order],
    )


def _joined(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.concatenate([first, second]).astype(np.float32)
