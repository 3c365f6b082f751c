"""Before there are labels: a fixed fusion of three signals.

Measured on real detectors (KITTI, traffic cameras), the best of the fixed combinations: the sum of
1 - score, the summed scores of sub-threshold detections, and half the temporal-coherence count,
each divided by its standard deviation over the pool. (A z-score also subtracts the mean, which
shifts all frames alike and changes no order.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidal.types import Detections, ErrorEstimate, FloatArray, ScoreArray

TEMPORAL_WEIGHT = 0.5
_AT_ONCE = 1 << 18
"""Frames that are worked on together."""
SIGNALS = ("unsure detections", "temporal false positives", "weak detections", "temporal misses")
"""The last axis of ``signals``; the first two speak of false positives, the others of misses."""


def signals(
    detections: Detections, verdicts: ErrorEstimate | None, *, threshold: float, floor: float = 0.05
) -> FloatArray:
    """(F, K, 4) float32: the signals of every frame and class, see ``SIGNALS``.

    Args:
        detections: the clip's table.
        verdicts: of temporal coherence (``rows`` of ``detections``); None counts none.
        threshold: detections with a higher score are the output; the others, above ``floor``, are
            weak.
        floor: lowest score looked at.
    """
    f, k = detections.frames, len(detections.classes)
    scores = detections.scores
    strong = scores > threshold
    weak = ~strong & (scores > floor)
    cell = detections.frame * k + detections.labels
    result = np.zeros((f * k, 4), dtype=np.float64)
    result[:, 0] = np.bincount(cell[strong], 1 - scores[strong], minlength=f * k)
    result[:, 2] = np.bincount(cell[weak], scores[weak], minlength=f * k)
    if verdicts is not None:
        false = verdicts.rows[verdicts.false_positive]
        missed = verdicts.missed_frame * k + verdicts.missed_label
        result[:, 1] = np.bincount(cell[false], minlength=f * k)
        result[:, 3] = np.bincount(missed[verdicts.missed], minlength=f * k)
    return result.reshape(f, k, 4).astype(np.float32)


def fuse_with(values: FloatArray, counts: FloatArray) -> FloatArray:
    """(F, K, 2) float32: the fusion and a prior's counts, in standard deviations of the pool.

    The prior's two kinds count alike, whatever their numbers: how many misses it expects for each
    false alarm is what it knows least about a detector it has not seen. Then the fusion and the
    prior count alike.

    Args:
        values: (F, K, 4) as ``signals`` returns it, of all frames of the pool.
        counts: (F, K, 2) false positives and misses that the prior expects of them.
    """
    both = _in_deviations(fuse(values))
    both += _in_deviations(np.asarray(counts / _deviation(counts.sum(axis=1)), np.float32))
    return both


def _in_deviations(values: FloatArray) -> FloatArray:
    """Changes them in place: they are large."""
    values /= _deviation(values.sum(axis=(1, 2)))
    return values


def _deviation(frames: FloatArray) -> FloatArray:
    """Over frames, the first axis; infinite where all are alike, which then count nothing."""
    if not len(frames):
        return np.ones(frames.shape[1:], np.float32)
    spread = frames.std(axis=0, dtype=np.float64)
    return np.where(spread > 0, spread, np.inf).astype(np.float32)


def fuse(values: FloatArray) -> FloatArray:
    """(F, K, 2) float32: the fusion of a whole pool, split into false positives and misses.

    Not counts: standard deviations of the pool's frames. The deviation is that of a frame's sum
    over the classes; temporal coherence counts as one signal.

    Args:
        values: (F, K, 4) as ``signals`` returns it, of all frames of the pool.
    """
    scale = _scale(values)
    fused = np.empty((*values.shape[:2], 2), np.float32)
    for part in _parts(len(values)):
        scaled = values[part] * scale
        fused[part, :, 0] = scaled[..., 0] + scaled[..., 1]
        fused[part, :, 1] = scaled[..., 2] + scaled[..., 3]
    return fused


def _scale(values: FloatArray) -> ScoreArray:
    """(4,) what each signal counts for; float64 sums of all frames are held, and little else."""
    frames = np.empty((4, len(values)))
    for part in _parts(len(values)):
        frames[:, part] = values[part].sum(axis=1, dtype=np.float64).T
    weight = np.array([1.0, TEMPORAL_WEIGHT, 1.0, TEMPORAL_WEIGHT])
    if not len(values):
        return np.zeros(4)
    frames[1] += frames[3]
    own = [frames[number].std() for number in (0, 1, 2)]
    spread = np.array([*own, own[1]])
    return np.divide(weight, spread, out=np.zeros(4), where=spread > 0)


def _parts(count: int) -> Iterator[slice]:
    return (slice(at, min(at + _AT_ONCE, count)) for at in range(0, count, _AT_ONCE))
