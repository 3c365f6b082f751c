"""Pure helpers of array code that several rooms share; float64 inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import IntArray, ScoreArray


def min_max(x: NDArray[Any]) -> ScoreArray:
    """(N,) scaled linearly to [0, 1]; zeros where all values are equal."""
    values = np.asarray(x, np.float64)
    if not values.size:
        return values
    low = values.min()
    spread = values.max() - low
    return (values - low) / spread if spread > 0 else np.zeros_like(values)


def z_score(x: NDArray[Any], reference: NDArray[Any] | None = None) -> ScoreArray:
    """(N,) in population standard deviations from the mean of ``reference`` (M,), or of ``x``.

    Zeros where the reference has no spread.
    """
    values = np.asarray(x, np.float64)
    of = values if reference is None else np.asarray(reference, np.float64)
    if not of.size:
        return np.zeros_like(values)
    deviation = of.std()
    return (values - of.mean()) / deviation if deviation > 0 else np.zeros_like(values)


def components(count: int, first: IntArray, second: IntArray) -> IntArray:
    """(count,) number of the connected component of every node, by rising first node.

    Args:
        count: nodes, at least one.
        first, second: (E,) nodes that each edge joins.
    """
    # Imported here: a run whose evidence is known needs no graphs, and starts sooner without.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.ones(len(first), dtype=np.int8), (first, second)
    graph = coo_array(edges, shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)
