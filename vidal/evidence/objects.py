"""How many objects of each class a frame is expected to show: what class balance counts with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import Detections, ErrorEstimate, FloatArray, IntArray, ScoreArray


def expected_objects(
    detections: Detections | None,
    shape: tuple[int, int],
    *,
    threshold: float,
    told: NDArray[Any] | None,
    estimate: ErrorEstimate | None,
) -> FloatArray:
    """(F, K) float32 >= 0: objects that annotators are expected to find in each frame of a clip.

    Every detection above the threshold counts for one object, by its class distribution, less its
    chance to be a false alarm; objects that are expected to be missed are added. By the best that
    is known of the two:

    - where a model expects errors (``told``), its counts: detections, their distributions without
      background, less the false alarms of each class (not below 0), plus the misses;
    - else the verdicts of temporal coherence (``estimate``): detections that it calls false do not
      count, candidates that it calls missed do;
    - else the distribution itself: a detection counts as much as it is not background.

    Args:
        detections: of the clip, or None.
        shape: F frames of the clip and K classes.
        threshold: detections with a higher score count.
        told: (F, K, 2) expected false alarms and misses, or None.
        estimate: verdicts; ``rows`` of ``detections``; or None.
    """
    if detections is None:
        return np.zeros(shape, np.float32)
    if told is not None:
        return corrected(object_mass(detections, threshold), told)
    if estimate is None:
        return object_mass(detections, threshold, whole=False).astype(np.float32)
    mass = object_mass(detections, threshold, without=estimate.rows[estimate.false_positive])
    missed = estimate.missed
    np.add.at(mass, (estimate.missed_frame[missed], estimate.missed_label[missed]), 1.0)
    return mass.astype(np.float32)


def object_mass(
    detections: Detections,
    threshold: float,
    *,
    without: IntArray | None = None,
    whole: bool = True,
) -> ScoreArray:
    """(F, K) float64: class distributions of detections, added up by frame.

    Args:
        detections: of the clip.
        threshold: detections with a higher score count.
        without: rows that do not.
        whole: background is left out, so that each counts for 1; else each counts as much as it is
            not background.
    """
    mass = np.zeros((detections.frames, len(detections.classes)))
    use = detections.scores > threshold
    if without is not None:
        use[without] = False
    rows = np.flatnonzero(use)
    probs = detections.probs[rows, :-1].astype(np.float64)
    if whole:
        total = probs.sum(axis=1, keepdims=True)
        probs = np.divide(probs, total, out=np.zeros_like(probs), where=total > 0)
    np.add.at(mass, detections.frame[rows], probs)
    return mass


def corrected(mass: ScoreArray, told: NDArray[Any]) -> FloatArray:
    """(F, K) float32: less the false alarms that are expected, and with the misses.

    Args:
        mass: (F, K) as ``object_mass`` gives it.
        told: (F, K, 2) expected false alarms and misses.
    """
    return (np.maximum(mass - told[..., 0], 0.0) + told[..., 1]).astype(np.float32)
