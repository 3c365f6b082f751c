"""What seeds can tell: tests by flipped signs, corrected for being many, and their power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

EXACT = 12
"""Up to this many seeds every pattern of signs is tried; with more, patterns are drawn."""

FLIPS = 20_000
"""Drawn patterns of signs where there are too many to try them all."""

_TIE = 1e-12


def sign_flips(n: int, rng: Generator) -> NDArray[np.float64]:
    """(P, n) patterns of +1 and -1, the first of them all +1: all 2^n, or ``FLIPS`` drawn ones."""
    if n <= EXACT:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        bits = rng.integers(2, size=(FLIPS, n))
        bits[0] = 0
    return (1 - 2 * bits).astype(np.float64)


def sign_flip_p(differences: Sequence[float] | NDArray[np.float64], rng: Generator) -> float:
    """Two-sided p of a mean difference of 0, by flipping the signs of paired differences.

    Where the two sides are alike, each seed's difference could as well have had the other sign. p
    is the share of all patterns of signs whose mean is at least as far from 0. Exact for up to
    ``EXACT`` seeds; never below 2^(1 - n).

    Args:
        differences: (n,) finite, one a seed.
        rng: draws patterns where they are too many.
    """
    return corrected_ps({"": differences}, rng)[""]


def corrected_ps(
    family: Mapping[str, Sequence[float] | NDArray[np.float64]], rng: Generator
) -> dict[str, float]:
    """p of every comparison, such that with 95 % none below 0.05 is there by chance.

    Step-down largest-statistic test (Westfall and Young 1993, Algorithm 2.8) over patterns of
    signs that are flipped for all comparisons of a seed together: what they have in common (the
    baseline's runs) is in the patterns. Holm's correction holds the same rate of false findings,
    but eight seeds have no p below 2 / 256, and seven comparisons times that are above 0.05
    already, however large the difference. The statistic is the mean over the root mean square.

    Args:
        family: name -> (n,) paired differences of the same n seeds, in the same order.
        rng: draws patterns where they are too many.

    Raises:
        ValueError: no or unequally many seeds, or a difference that is not finite.
    """
    if not family:
        return {}
    seeds = {len(each) for each in family.values()}
    if len(seeds) > 1 or 0 in seeds:
        raise ValueError(f"differences: of {sorted(seeds)} seeds")
    table = np.array(list(family.values()), dtype=np.float64)
    if not np.isfinite(table).all():
        raise ValueError("differences: not all finite")
    size = np.sqrt(np.mean(table**2, axis=1))
    scaled = np.divide(table, size[:, None], out=np.zeros_like(table), where=size[:, None] > 0)
    reached = np.abs(sign_flips(table.shape[1], rng) @ scaled.T) / table.shape[1]
    order = np.argsort(-reached[0], kind="stable")
    # Of those not yet judged, the largest; the strongest comparison has to beat all of them.
    largest = np.maximum.accumulate(reached[:, order[::-1]], axis=1)[:, ::-1]
    ps = np.mean(largest >= reached[0, order] - _TIE, axis=0)
    ps = np.maximum.accumulate(ps)
    names = list(family)
    found = {names[k]: float(p) for k, p in zip(order.tolist(), ps.tolist(), strict=True)}
    return {name: found[name] for name in names}


def beyond_zero(draws: NDArray[np.float64]) -> float:
    """Two-sided p of a difference of 0 from bootstrap draws: twice the share on the rarer side.

    Args:
        draws: (D,) of the difference; NaN where it is undefined. Without any, p is 1.
    """
    known = draws[~np.isnan(draws)]
    rarer = min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    return min(1.0, 2 * (float(rarer) + 1) / (len(known) + 1))


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Holm's (1979) step-down correction of p values of any kind; no larger than 1."""
    order = sorted(ps, key=lambda name: ps[name])
    found, floor = {}, 0.0
    for at, name in enumerate(order):
        floor = max(floor, min(1.0, (len(order) - at) * ps[name]))
        found[name] = floor
    return {name: found[name] for name in ps}


def smallest_difference(
    differences: Sequence[float] | NDArray[np.float64], *, power: float = 0.8, level: float = 0.05
) -> float | None:
    """The true mean difference that the paired t test sees with this power, two-sided.

    From the standard deviation of the paired differences and the noncentral t distribution.

    Args:
        differences: (n,) one a seed.
        power: chance that it is seen.
        level: of significance.

    Returns:
        The difference, > 0; None for fewer than two seeds.
    """
    from scipy.special import nctdtrinc, stdtrit

    numbers = np.asarray(differences, dtype=np.float64)
    n = len(numbers)
    if n < 2:
        return None
    beyond = stdtrit(n - 1, 1 - level / 2)
    return float(nctdtrinc(n - 1, 1 - power, beyond) * numbers.std(ddof=1) / np.sqrt(n))
