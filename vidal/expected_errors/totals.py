"""From sums of probabilities to counts: misses that no candidate covers, and the level of a clip.

A score needs the order of frames only; a number that people read has to be right in sum. Two
things keep a sum of probabilities from being one: missed objects where no candidate lies, and
clips that are harder or easier than their evidence says. Both are learned from the same labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidal.expected_errors.examples import Examples, Judged
from vidal.types import FloatArray, IntArray, ScoreArray

_OPEN = (1.0, 2.0)
"""Misses that nothing covers, and that a candidate covers, before any is seen."""
_BY_CLASS = 10.0
"""Covered misses after which a class is believed more than all classes together."""
_COMMON = 10.0
"""Errors, as expected, that the level of all clips together is held to 1 by."""
_SPREADS = 4.0 * 2.0 ** np.arange(-2, 5)
"""Candidates for k, the shape of the gamma distribution of clips' levels: their variance is 1/k."""
_MOST_CLUMPED = 20.0
_NORMAL = 1.959964


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """How many errors of one kind there are for each that is expected.

    A clip's level is gamma distributed with mean ``common`` and relative variance 1 / ``shape``
    before its own labels are seen, and conjugate after (empirical Bayes: Robbins, "An empirical
    Bayes approach to statistics", 1956; Clayton and Kaldor, 1987, for rates).

    Attributes:
        common: of all clips.
        doubt: relative variance of ``common``.
        shape: k, see above.
        clumped: variance of a frame's count over its mean, at least 1: errors come in groups.
        clips: number of clip -> mean and relative variance of its level, where it has labels.
    """

    common: float
    doubt: float
    shape: float
    clumped: float
    clips: Mapping[int, tuple[float, float]]

    def of(self, clip: int | None) -> tuple[float, float]:
        """Mean and relative variance of a clip's level; None = a clip without labels."""
        new = self.common, 1 / self.shape
        return new if clip is None else self.clips.get(clip, new)


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """What makes counts of sums.

    Attributes:
        ratio: (K,) missed objects of a class for each that a candidate covers, at least 1.
        levels: of false positives and misses.
    """

    ratio: FloatArray
    levels: tuple[Level, Level]

    def told(self, counts: FloatArray, clip: int | None) -> FloatArray:
        """(F, K, 2) float32: expected counts as they may be read.

        Args:
            counts: (F, K, 2) sums of probabilities of a clip.
            clip: its number among what was judged; None = it was not.

        Raises:
            ValueError: other classes.
        """
        return self.told_by(counts, self.level(clip))

    def level(self, clip: int | None) -> ScoreArray:
        """(2,) false positives and misses of a clip for each that is expected; see ``told``."""
        return np.array([kind.of(clip)[0] for kind in self.levels])

    def told_by(self, counts: FloatArray, level: ScoreArray) -> FloatArray:
        """(F, K, 2) float32: the same of frames whose levels are known.

        Args:
            counts: (F, K, 2) sums of probabilities.
            level: (2,) of all of them, or (F, 1, 2).

        Raises:
            ValueError: other classes.
        """
        if counts.shape[1] != len(self.ratio):
            raise ValueError(f"counts of {counts.shape[1]} classes, not {len(self.ratio)}")
        factor = np.stack([np.ones_like(self.ratio), self.ratio], axis=-1)
        return (counts * factor * level).astype(np.float32)

    def of_rows(
        self, judged: Judged, probabilities: tuple[ScoreArray, ScoreArray], *, own: bool
    ) -> list[tuple[int | None, NDArray[np.floating]]]:
        """Number of every clip of judged rows, and (2,) what is told of them in sum.

        Args:
            judged: the rows.
            probabilities: (R,) of its detections and candidates.
            own: whether a clip's level, where its labels are known, counts; else every clip is told
                as one without labels, with number None.
        """
        kinds = (judged.detections, judged.candidates)
        ratio = self.ratio[np.minimum(judged.candidates.labels, len(self.ratio) - 1)]
        values = (probabilities[0], probabilities[1] * ratio)
        clips = np.unique(np.concatenate([rows.clip for rows in kinds]))
        result: list[tuple[int | None, NDArray[np.floating]]] = []
        for clip in clips.tolist():
            number = clip if own else None
            sums = [each[rows.clip == clip].sum() for rows, each in zip(kinds, values, strict=True)]
            level = [kind.of(number)[0] for kind in self.levels]
            result.append((number, np.array(sums) * level))
        return result

    def intervals(
        self, sums: Sequence[tuple[int | None, NDArray[np.floating]]]
    ) -> tuple[tuple[float, float], ...]:
        """95 % intervals of false positives, misses and both together.

        Log-normal around the sum, which keeps them above 0. Clips vary by themselves, the common
        level makes all of them too high or too low.

        Args:
            sums: number of a clip (None = not judged) and (2,) what is told of its frames in sum.
        """
        told = np.array([values for _, values in sums], np.float64).reshape(-1, 2)
        variance = np.zeros(2)
        for kind, level in enumerate(self.levels):
            own = np.array([level.of(clip)[1] for clip, _ in sums])
            mean = told[:, kind]
            variance[kind] = (
                (mean**2 * own).sum() + level.clumped * mean.sum() + level.doubt * mean.sum() ** 2
            )
        means = told.sum(axis=0)
        kinds = [(means[0], variance[0]), (means[1], variance[1]), (means.sum(), variance.sum())]
        return tuple(_interval(float(mean), float(spread)) for mean, spread in kinds)


def _interval(mean: float, variance: float) -> tuple[float, float]:
    if mean <= 0:
        return 0.0, 0.0
    sigma = np.sqrt(np.log1p(variance / mean**2))
    return float(mean * np.exp(-_NORMAL * sigma)), float(mean * np.exp(_NORMAL * sigma))


def learn_totals(judged: Judged, probabilities: tuple[ScoreArray, ScoreArray]) -> Totals:
    """Learn what makes counts of sums.

    Args:
        judged: rows with ``misses``.
        probabilities: (R,) of its detections and candidates, each by a model that has not seen the
            row's frame.

    Raises:
        ValueError: ``misses`` of no frame.
    """
    misses = judged.misses
    if not len(misses):
        raise ValueError("judged rows without the misses of their frames")
    weight = misses.weight
    ratio = _ratio(weight @ misses.missed, weight @ misses.covered)
    false, covered = judged.detections, judged.candidates
    by_class = ratio[np.minimum(covered.labels, len(ratio) - 1)]
    frames = np.stack([misses.clip, misses.frame])
    # Frames that count less, count less on both sides.
    kinds = (
        (_on(frames, false, false.error), _on(frames, false, probabilities[0])),
        (misses.missed.sum(axis=1), _on(frames, covered, probabilities[1] * by_class)),
    )
    first, second = (_level(misses.clip, weight * found, weight * said) for found, said in kinds)
    return Totals(ratio, (first, second))


def _ratio(missed: ScoreArray, covered: ScoreArray) -> FloatArray:
    """(K,) all misses for each covered one; a class with few is held to all classes together."""
    bare = missed - covered
    whole = (bare.sum() + _OPEN[0]) / (covered.sum() + _OPEN[1])
    return np.asarray(1 + (bare + _BY_CLASS * whole) / (covered + _BY_CLASS))


def _on(frames: IntArray, rows: Examples, values: NDArray[np.generic]) -> ScoreArray:
    """(N,) sums of the rows' values by judged frame."""
    keys = np.concatenate([frames, np.stack([rows.clip, rows.frame])], axis=1)
    number = np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
    place, mine = number[: frames.shape[1]], number[frames.shape[1] :]
    size = int(number.max(initial=-1)) + 1
    sums = np.bincount(mine, weights=values.astype(np.float64), minlength=size)
    return np.asarray(sums[place], np.float64)


def _level(clip: IntArray, found: NDArray[np.generic], said: ScoreArray) -> Level:
    """The levels of clips, from what was found and said on their judged frames."""
    due = found.astype(np.float64)
    clumped = ((due - said) ** 2).sum() / max(said.sum(), 1.0)
    clumped = float(np.clip(clumped, 1.0, _MOST_CLUMPED))
    clips, number = np.unique(clip, return_inverse=True)
    # Errors in groups of g are worth one in g: found and said count by groups.
    true = np.bincount(number, due, minlength=len(clips)) / clumped
    mean = np.bincount(number, said, minlength=len(clips)) / clumped
    common = float((true.sum() + _COMMON) / (mean.sum() + _COMMON))
    mean = mean * common
    shape = _shape(true, mean)
    own = {
        int(clip): (common * (shape + t) / (shape + m), 1 / (shape + t))
        for clip, t, m in zip(clips, true, mean, strict=True)
    }
    return Level(common, float(1 / (true.sum() + _COMMON)), shape, clumped, own)


def _shape(true: ScoreArray, mean: ScoreArray) -> float:
    """k of largest posterior: negative binomial counts, log k normal around that of 4."""
    from scipy.special import gammaln

    k = _SPREADS[:, None]
    fit = gammaln(k + true) - gammaln(k) + k * np.log(k) - (k + true) * np.log(k + mean)
    fit = np.where(true > 0, fit + true * np.log(np.maximum(mean, 1e-9)), fit).sum(axis=1)
    prior = -0.5 * np.log(_SPREADS / 4.0) ** 2
    return float(_SPREADS[np.argmax(fit + prior)])
