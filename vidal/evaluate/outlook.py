"""How many labels a target may take: a learning curve carried on, with what that is worth.

Two curves are fitted to average precision over labelled frames n: ``a + b ln n``, which never
levels off, and the power law ``a - b n^-c`` that learning curves follow (Hestness et al., "Deep
Learning Scaling is Predictable, Empirically", 2017), which does. Few points cannot tell them apart,
and each alone is far too sure of itself (Mahmood et al., "How Much More Data Do I Need? Estimating
Requirements for Downstream Tasks", CVPR 2022): the range reaches from the one to the other, over
draws of the test clips and of the scatter around the fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidal.types import ScoreArray

LEAST_POINTS = 4
"""Models that a curve needs; a line of two parameters goes through three points by chance."""
FARTHEST = 20.0
"""Times the labels so far; beyond that nothing is said but that it takes more."""
_TAIL = 0.1
_POWERS = np.geomspace(0.1, 2.0, 16)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Labelled frames, in all, at which a target may be reached.

    Attributes:
        target: the average precision asked for.
        low: of the 80 % range of labelled frames; NaN where nothing is told.
        high: so; infinite where it takes more than ``FARTHEST`` times the labels so far.
        never: share of the draws in which the target is not reached within that, in [0, 1].
        refused: why nothing is told, in words; empty where something is.
    """

    target: float
    low: float
    high: float
    never: float
    refused: str = ""

    def as_dict(self) -> dict[str, float | str | None]:
        """JSON values; null where there is no number."""
        numbers = {"target": self.target, "low": self.low, "high": self.high, "never": self.never}
        told = {name: n if math.isfinite(n) else None for name, n in numbers.items()}
        return {**told, "refused": self.refused}


def outlook(
    target: float,
    labelled: NDArray[np.floating],
    values: ScoreArray,
    draws: ScoreArray | None,
    rng: Generator,
) -> Outlook:
    """Carry a curve on to a target.

    Args:
        target: average precision, in (0, 1].
        labelled: (R,) labelled frames of each model, rising.
        values: (R,) its average precision.
        draws: (D, R) the same of D draws of the test clips; None = too few clips to draw from: only
            the scatter around the fit is in the range then.
        rng: draws the scatter.
    """
    kept = np.isfinite(values) & (labelled > 0)
    n, y = np.asarray(labelled, np.float64)[kept], values[kept]
    count = len(np.unique(n))

    def none(why: str) -> Outlook:
        return Outlook(target, math.nan, math.nan, math.nan, why)

    if len(y) and target <= y[-1]:
        return none(f"the newest model has reached it, with {y[-1]:.3f}")
    if count < LEAST_POINTS:
        return none(
            f"a forecast needs models of {LEAST_POINTS} rounds with more labels each;"
            f" there {'is' if count == 1 else 'are'} {count or 'none'}"
        )
    table = np.tile(y, (400, 1)) if draws is None else draws[:, kept]
    table = table[np.isfinite(table).all(axis=1)]
    if not len(table):
        return none("the test clips drawn hold too few objects")
    slope, scatter = _scatter(n, y)
    table = table + rng.normal(0.0, scatter, table.shape)
    slopes = _slopes(n, table)
    if np.quantile(slopes, _TAIL) <= 0:
        return none(
            "the curve does not rise clearly more than it scatters"
            if slope > 0
            else "the curve does not rise"
        )
    needs = np.concatenate([_log(n, table, target), _power(n, table, target)])
    needs = np.maximum(needs, n[-1] + 1)
    needs[needs > FARTHEST * n[-1]] = math.inf
    low, high = np.quantile(needs, [_TAIL, 1 - _TAIL], method="nearest")
    return Outlook(target, float(low), float(high), float(np.isinf(needs).mean()))


def _scatter(n: NDArray[np.float64], y: ScoreArray) -> tuple[float, float]:
    """Slope over ln n, and the standard deviation around the line."""
    design = np.stack([np.ones_like(n), np.log(n)], axis=1)
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    left = y - design @ solution
    return float(solution[1]), float(np.sqrt((left**2).sum() / max(len(y) - 2, 1)))


def _slopes(n: NDArray[np.float64], table: ScoreArray) -> ScoreArray:
    x = np.log(n) - np.log(n).mean()
    return np.asarray(table @ x / (x**2).sum())


def _log(n: NDArray[np.float64], table: ScoreArray, target: float) -> ScoreArray:
    """(D,) where ``a + b ln n`` reaches the target; infinite where it falls."""
    slope = _slopes(n, table)
    base = table.mean(axis=1) - slope * np.log(n).mean()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(slope > 0, np.exp(np.minimum((target - base) / slope, 700.0)), math.inf)


def _power(n: NDArray[np.float64], table: ScoreArray, target: float) -> ScoreArray:
    """(D,) where the best ``a - b n^-c`` reaches it; infinite where it levels off below."""
    best = np.full(len(table), math.inf)
    needs = np.full(len(table), math.inf)
    for power in _POWERS:
        x = n**-power
        centred = x - x.mean()
        fall = -(table @ centred) / (centred**2).sum()
        top = np.minimum(table.mean(axis=1) + fall * x.mean(), 1.0)
        error = ((table - (top[:, None] - fall[:, None] * x[None])) ** 2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            reach = np.where(
                (fall > 0) & (top > target), (fall / (top - target)) ** (1 / power), math.inf
            )
        better = error < best
        best, needs = np.where(better, error, best), np.where(better, reach, needs)
    return needs
