"""How well a query kept to the known classes, where the pool holds others too.

As in the code of Ning et al., "Active learning for open-set annotation" (LfOSA), CVPR 2022.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def query_precision(labels: NDArray[Any], known: int) -> float:
    """Share of a query's items that are of a known class, in [0, 1]; 0 of an empty query.

    Args:
        labels: (B,) true labels: 0..known-1, and ``known`` for all others.
        known: K.
    """
    return float(np.mean(_of_known(labels, known))) if np.size(labels) else 0.0


def query_recall(labels: NDArray[Any], labelled_known: int, pool_known: int, known: int) -> float:
    """Share of all known items that are labelled after the query, in [0, 1]; 0 if there are none.

    Args:
        labels: (B,) as for ``query_precision``.
        labelled_known: items of known classes that were labelled before it.
        pool_known: items of known classes that were in the pool before it.
        known: K.
    """
    total = labelled_known + pool_known
    found = int(np.count_nonzero(_of_known(labels, known))) + labelled_known
    return found / total if total else 0.0


def _of_known(labels: NDArray[Any], known: int) -> NDArray[np.bool_]:
    values = np.asarray(labels)
    return np.asarray((values >= 0) & (values < known))
