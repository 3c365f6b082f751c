"""How sure a number is: intervals over seeds, and over clips by the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.types import IntArray


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean or statistic with its confidence interval.

    Attributes:
        value: the mean, or the statistic of the whole sample.
        low, high: the ends; infinite where one value says nothing about the spread.
        n: values (or bootstrap draws) that it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def excludes(self, value: float) -> bool:
        """Whether a value lies outside, e.g. 0 for a difference."""
        return value < self.low or value > self.high


def mean_interval(
    values: Sequence[float] | NDArray[np.floating], *, level: float = 0.95
) -> Interval:
    """Mean over seeds with Student's t interval (independent, roughly normal values).

    Raises:
        ValueError: no values, or one that is not finite.
    """
    from scipy.special import stdtrit

    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError("values: none, or not all finite")
    mean, n = float(numbers.mean()), len(numbers)
    if n == 1:
        return Interval(mean, -float("inf"), float("inf"), 1)
    margin = stdtrit(n - 1, (1 + level) / 2) * numbers.std(ddof=1) / np.sqrt(n)
    return Interval(mean, mean - float(margin), mean + float(margin), n)


def difference_interval(
    first: Sequence[float], second: Sequence[float], *, level: float = 0.95
) -> Interval:
    """Mean of ``first[i] - second[i]`` over seeds that both share, with its t interval.

    Pairing by seed removes what the seed does to both; a gain whose interval includes 0 is not
    larger than the spread of the seeds.

    Raises:
        ValueError: other lengths, no values, or one that is not finite.
    """
    if len(first) != len(second):
        raise ValueError(f"values: {len(first)} and {len(second)}, not pairs")
    return mean_interval(np.asarray(first) - np.asarray(second, dtype=np.float64), level=level)


def bootstrap_interval(
    clips: int,
    statistic: Callable[[IntArray], float],
    rng: Generator,
    *,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap over whole clips; frames of one clip are not independent.

    Args:
        clips: how many clips there are.
        statistic: from clip positions (with repetition) to a number; NaN where it is undefined.
        rng: draws the samples.
        draws: how many.
        level: of confidence.

    Returns:
        The statistic of all clips, the percentiles over draws where it is defined, and how many
        those are.

    Raises:
        ValueError: no clips, or the statistic is undefined in every draw.
    """
    if clips < 1:
        raise ValueError("clips: none")
    samples = rng.integers(clips, size=(draws, clips))
    values = np.array([statistic(sample) for sample in samples], dtype=np.float64)
    values = values[~np.isnan(values)]
    if not len(values):
        raise ValueError("statistic: undefined in every draw")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    whole = float(statistic(np.arange(clips, dtype=np.int64)))
    return Interval(whole, float(low), float(high), len(values))
