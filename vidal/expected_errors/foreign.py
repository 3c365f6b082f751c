"""How much labels of elsewhere say about here: other cameras, or what weaker models got wrong.

They help where own labels are few, and mislead where they come from another distribution. So they
count by what they do for the own labels: the weight under which the frames with own labels are
expected best, each by models that have not seen it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.expected_errors.correction import varying
from vidal.expected_errors.estimator import forest
from vidal.expected_errors.examples import Examples, Judged
from vidal.types import IntArray, ScoreArray

WEIGHTS = (1.0, 0.3, 0.1, 0.03, 0.0)
"""Of a foreign row, as a share of an own one."""
LEAST_FRAMES = 20
LEAST_ERRORS = 20
"""Own labels below which nothing can be told: then foreign rows count in full."""
FOLDS = 3
MOST_TRIED = 3_000
"""Own rows, and foreign rows, that a trial is fitted to."""
_TREES = 40
_FLOOR = 0.05
"""Added to what is expected of a frame before its logarithm is taken."""


def weighed(own: Judged, foreign: Judged) -> tuple[Judged, float]:
    """Both together, the rows of ``foreign`` by what they do for those of ``own``.

    Args:
        own: judged rows of the clips, or of the newest round, that the estimate is for.
        foreign: all others; their ``misses`` are kept.

    Returns:
        The joined rows, own ones last, and the weight of the foreign ones.
    """
    weight = foreign_weight(own, foreign)
    parts = [_scaled(foreign, weight), own]
    return Judged.join(parts), weight


def _scaled(judged: Judged, weight: float) -> Judged:
    kinds = (judged.detections, judged.candidates)
    first, second = (replace(each, weight=each.weight * weight) for each in kinds)
    misses = replace(judged.misses, weight=judged.misses.weight * weight)
    return replace(judged, detections=first, candidates=second, misses=misses)


def foreign_weight(own: Judged, foreign: Judged) -> float:
    """One of ``WEIGHTS``: 1 unless another is better by more than its own uncertainty.

    Better means a smaller Poisson deviance of the errors of own frames; the difference has to
    exceed one standard error over frames.
    """
    errors = int(own.detections.error.sum() + own.candidates.error.sum())
    frames = np.unique(
        np.concatenate([_frames(own.detections), _frames(own.candidates)], 1), axis=1
    )
    if not len(foreign.detections) + len(foreign.candidates):
        return 1.0
    if errors < LEAST_ERRORS or frames.shape[1] < LEAST_FRAMES:
        return 1.0
    trials = {weight: _deviance(own, foreign, frames, weight) for weight in WEIGHTS}
    best = min(WEIGHTS, key=lambda weight: float(trials[weight].mean()))
    gain = trials[1.0] - trials[best]
    sure = gain.mean() > gain.std() / np.sqrt(len(gain))
    return best if sure else 1.0


def _frames(rows: Examples) -> IntArray:
    """(2, R) clip and frame of every row."""
    return np.stack([rows.clip, rows.frame])


def _deviance(own: Judged, foreign: Judged, frames: IntArray, weight: float) -> ScoreArray:
    """(N,) Poisson deviance, up to a constant, of the errors of every own frame."""
    said, found = np.zeros(frames.shape[1]), np.zeros(frames.shape[1])
    pairs = ((own.detections, foreign.detections), (own.candidates, foreign.candidates))
    for mine, other in pairs:
        both = np.concatenate([frames, _frames(mine)], axis=1)
        number = np.unique(both, axis=1, return_inverse=True)[1].reshape(-1)[frames.shape[1] :]
        rows = _trial(mine, _some(other), number % FOLDS, weight)
        said += np.bincount(number, rows, minlength=len(said))
        found += np.bincount(number, mine.error, minlength=len(said))
    return np.asarray(said - found * np.log(said + _FLOOR))


def _some(rows: Examples) -> Examples:
    if len(rows) <= MOST_TRIED:
        return rows
    drawn = np.random.default_rng(0).choice(len(rows), MOST_TRIED, replace=False)
    return rows.keep(np.sort(drawn))


def _trial(own: Examples, foreign: Examples, fold: IntArray, weight: float) -> ScoreArray:
    """(R,) P(error) of own rows by forests that saw the other folds and the foreign rows."""
    result = np.zeros(len(own))
    for number in range(FOLDS):
        inside = fold == number
        if not inside.any():
            continue
        seen = _some(own.keep(~inside))
        rows = Examples.join([seen, foreign]) if weight else seen
        weights = np.concatenate([seen.weight, foreign.weight * weight]) if weight else seen.weight
        result[inside] = _probability(rows, weights, own.evidence[inside])
    return result


def _probability(rows: Examples, weights: ScoreArray, asked: NDArray[Any]) -> ScoreArray:
    use = varying(rows.evidence)
    if not len(use) or rows.error.all() or not rows.error.any():
        share = (weights[rows.error].sum() + 1) / (weights.sum() + 2)
        return np.full(len(asked), share)
    classifier = forest(0, _TREES)
    classifier.fit(rows.evidence[:, use], rows.error, extratreesclassifier__sample_weight=weights)
    return np.asarray(classifier.predict_proba(asked[:, use])[:, 1])
