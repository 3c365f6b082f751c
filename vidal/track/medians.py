"""Medians of a few values at many places, by networks of comparators.

A sorting network compares the same pairs whatever the values are (Batcher 1968, odd-even merge
sort), so that a comparison is one minimum and one maximum of whole rows, many places an
instruction. What does not reach the wanted outputs is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEW = 128
"""Places below which sorting is faster: a network calls NumPy a few hundred times."""

_Step = tuple[int, int, bool, bool]
"""Two rows, and whether their lesser and their greater values are needed."""


def ranked(values: NDArray[Any], ranks: tuple[int, ...]) -> list[NDArray[Any]]:
    """The values of these ranks (0 = the least) at every place; ``values`` are overwritten.

    Args:
        values: (P, ...) P values at each place, no NaN.
        ranks: which of them, increasing.
    """
    if values[0].size < _FEW:
        values.sort(axis=0)
        return [values[rank] for rank in ranks]
    spare = np.empty_like(values[0])
    rows = list(values)
    for one, two, lesser, greater in _network(len(values), ranks):
        if lesser and greater:
            np.minimum(rows[one], rows[two], out=spare)
            np.maximum(rows[one], rows[two], out=rows[two])
            rows[one], spare = spare, rows[one]
        elif lesser:
            np.minimum(rows[one], rows[two], out=rows[one])
        else:
            np.maximum(rows[one], rows[two], out=rows[two])
    return [rows[rank] for rank in ranks]


@cache
def _network(count: int, ranks: tuple[int, ...]) -> tuple[_Step, ...]:
    """The steps after which the rows of these ranks are right."""
    needed, steps = set(ranks), []
    for one, two in reversed(list(_comparators(count))):
        if one in needed or two in needed:
            steps.append((one, two, one in needed, two in needed))
            needed |= {one, two}
    return tuple(reversed(steps))


def _comparators(count: int) -> Iterator[tuple[int, int]]:
    """Batcher's merge exchange (Knuth, The Art of Computer Programming, 5.2.2, algorithm M)."""
    top = 1 << max(count - 1, 1).bit_length() - 1
    p = top
    while p:
        q, r, d = top, 0, p
        while True:
            yield from ((i, i + d) for i in range(count - d) if i & p == r)
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
