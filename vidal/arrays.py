"""Pure helpers of array code that several rooms share; float64 inside, ties to the lower index."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidal.types import IntArray, ScoreArray

Metric = Literal["cosine", "euclidean"]
Side = Literal["high", "low"]

_BLOCK = 1 << 22
"""Numbers that are held at once while neighbours are searched: 32 MB."""


def numbered(which: ArrayLike, count: int, name: str) -> IntArray:
    """(n,) numbers in 0..count-1, given as such or as a mask (count,) of bool.

    Raises:
        ValueError: a number out of range, or a mask of another length; named ``name``.
    """
    given = np.asarray(which).reshape(-1)
    if given.dtype == np.bool_:
        if len(given) != count:
            raise ValueError(f"{name}: a mask of {len(given)} for {count}")
        return np.flatnonzero(given)
    numbers = given.astype(np.int64)
    if ((numbers < 0) | (numbers >= count)).any():
        raise ValueError(f"{name}: a number outside 0..{count - 1}")
    return numbers


def min_max(x: NDArray[Any]) -> ScoreArray:
    """(N,) finite -> scaled linearly to [0, 1]; zeros where all values are equal.

    Raises:
        ValueError: a value that is not finite.
    """
    values = _finite(x)
    if not values.size:
        return values
    if values.max() / 2 - values.min() / 2 > np.finfo(np.float64).max / 2:
        values = values / 2
    low = values.min()
    spread = values.max() - low
    return (values - low) / spread if spread > 0 else np.zeros_like(values)


def z_score(x: NDArray[Any], reference: NDArray[Any] | None = None) -> ScoreArray:
    """(N,) in population standard deviations from the mean of ``reference`` (M,), or of ``x``.

    Zeros where the reference has no spread.

    Raises:
        ValueError: a value that is not finite.
    """
    values = _finite(x)
    of = values if reference is None else _finite(reference)
    if not of.size or of.min() == of.max():
        # The deviation of equal numbers is not always 0: their mean is rounded.
        return np.zeros_like(values)
    return (values - of.mean()) / of.std()


def mixture_posterior(
    x: NDArray[Any], means: NDArray[Any], variances: NDArray[Any], weights: NDArray[Any]
) -> ScoreArray:
    """(N, k) P(component | x) under a Gaussian mixture of one dimension; rows sum to 1.

    Args:
        x: (N,) finite.
        means, variances, weights: (k,) of the components; variances > 0, weights >= 0.

    Raises:
        ValueError: no components, a variance that is not positive, or no weight.
    """
    joint = _log_joint(_finite(x), *(_finite(each) for each in (means, variances, weights)))
    return _posterior(joint)[0]


def fit_mixture(
    x: NDArray[Any],
    components: int = 2,
    iterations: int = 10,
    tol: float = 1e-2,
    added_variance: float = 5e-4,
) -> ScoreArray:
    """(k, 3) mean, variance and weight of Gaussian components, by rising mean.

    Expectation maximisation (Dempster, Laird and Rubin 1977) from a k-means partition, step by
    step as in scikit-learn's ``GaussianMixture``: ``added_variance`` is added to every variance in
    every step (its ``reg_covar``), so the scale of ``x`` matters. The partition is found without
    a random start.

    Args:
        x: (N,) finite, at least one.
        components: k; fewer where ``x`` has fewer distinct values.
        iterations: steps, at most.
        tol: the steps end when the mean log likelihood changes by less.
        added_variance: >= 0.

    Raises:
        ValueError: no values, or no components.
    """
    values = np.sort(_finite(x))
    if not len(values) or components < 1:
        raise ValueError(f"{len(values)} values for {components} components")
    k = min(components, len(np.unique(values)))
    belongs = np.eye(k)[_partition(values, k)]
    found = _maximise(values, belongs, added_variance)
    before = -np.inf
    for _ in range(iterations):
        joint = _log_joint(values, *found.T)
        belongs, likelihood = _posterior(joint)
        found = _maximise(values, belongs, added_variance)
        if abs(likelihood - before) < tol:
            break
        before = likelihood
    return found[np.argsort(found[:, 0], kind="stable")]


def component_posterior(
    x: NDArray[Any],
    fit_on: NDArray[Any] | None = None,
    components: int = 2,
    side: Side = "high",
) -> ScoreArray:
    """(N,) P(component with the highest or lowest mean | x) of a mixture fitted by `fit_mixture`.

    Not monotone in ``x`` where variances differ: an extreme value may belong to a wider component.

    Args:
        x: (N,) finite.
        fit_on: (M,) what the mixture is fitted to; None = ``x``.
        components: fewer where there are fewer distinct values.
        side: "high" or "low".

    Returns:
        The posterior; 0.5 throughout where there are fewer than two distinct values to fit.

    Raises:
        ValueError: another side.
    """
    if side not in ("high", "low"):
        raise ValueError(f"side {side!r} is neither high nor low")
    values = _finite(x)
    base = values if fit_on is None else _finite(fit_on)
    if len(np.unique(base)) < 2:
        return np.full(len(values), 0.5)
    posterior = mixture_posterior(values, *fit_mixture(base, components).T)
    return posterior[:, -1 if side == "high" else 0]


def nearest(
    queries: NDArray[Any], base: NDArray[Any], k: int, metric: Metric = "cosine"
) -> IntArray:
    """(N, k) rows of ``base`` nearest to each query, the nearest first, equals by rising row.

    Candidates come from one matrix product a block, their order from exact distances, so that
    duplicates tie. A vector of zeros has the cosine 0 with every other. Memory does not grow with
    N times M.

    Args:
        queries: (N, D).
        base: (M, D).
        k: 0 <= k <= M.
        metric: "cosine" or "euclidean".

    Raises:
        ValueError: another metric, other columns, or k is not between 0 and M.
    """
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"metric {metric!r} is neither cosine nor euclidean")
    a, b = _rows(queries), _rows(base)
    if a.shape[1] != b.shape[1] or not 0 <= k <= len(b):
        raise ValueError(f"{k} of {b.shape} nearest to {a.shape}")
    if not k or not len(a):
        return np.zeros((len(a), k), np.int64)
    if metric == "cosine":
        a, b = _unit(a), _unit(b)
    step = max(1, _BLOCK // len(b))
    parts = [_nearest(a[at : at + step], b, k, metric == "cosine") for at in range(0, len(a), step)]
    return np.concatenate(parts)


def reverse_votes(
    pool: NDArray[Any], labelled: NDArray[Any], labels: NDArray[Any], classes: int, k: int
) -> IntArray:
    """(N, classes) how many labelled items of each class have a pool item among their k nearest.

    By cosine. EAOA's votes, which are cast by the labelled items, not by the pool.

    Args:
        pool: (N, D).
        labelled: (M, D); none = no votes.
        labels: (M,) in 0..classes-1.
        classes: how many.
        k: votes of each labelled item; all N where there are fewer.

    Raises:
        ValueError: labels of another number or out of range, other columns, or a negative k.
    """
    place = np.asarray(labels).astype(np.int64).reshape(-1)
    n = len(pool)
    if len(place) != len(labelled) or ((place < 0) | (place >= classes)).any():
        raise ValueError(f"{len(labelled)} items with {len(place)} labels in 0..{classes - 1}")
    if not n or not len(place):
        return np.zeros((n, classes), np.int64)
    chosen = nearest(labelled, pool, min(k, n))
    cell = chosen * classes + place[:, None]
    return np.bincount(cell.reshape(-1), minlength=n * classes).reshape(n, classes)


def _finite(x: NDArray[Any]) -> ScoreArray:
    values = np.asarray(x, np.float64).reshape(-1)
    if not np.isfinite(values).all():
        raise ValueError("values that are not finite")
    return values


def _log_joint(
    x: ScoreArray, means: ScoreArray, variances: ScoreArray, weights: ScoreArray
) -> ScoreArray:
    """(N, k) log of weight times density."""
    if not len(means) or not len(means) == len(variances) == len(weights):
        raise ValueError("means, variances and weights: none, or other numbers of them")
    if not (variances > 0).all() or (weights < 0).any() or not weights.any():
        raise ValueError("a variance that is not positive, or weights that are none")
    with np.errstate(divide="ignore"):
        share = np.log(weights)
    scaled = (x[:, None] - means) ** 2 / variances
    return np.asarray(share - 0.5 * (np.log(2 * np.pi * variances) + scaled))


def _posterior(joint: ScoreArray) -> tuple[ScoreArray, float]:
    """(N, k) shares of each row's likelihood, and the mean log likelihood of the rows."""
    most = joint.max(axis=1, keepdims=True)
    # Shares of the scaled sum, not exp(joint - log sum): far from all means that loses digits.
    scaled = np.exp(joint - most)
    total = scaled.sum(axis=1, keepdims=True)
    mean = float((most + np.log(total)).mean()) if len(joint) else 0.0
    return scaled / total, mean


def _maximise(x: ScoreArray, belongs: ScoreArray, added_variance: float) -> ScoreArray:
    """(k, 3) mean, variance and weight under memberships (N, k)."""
    # As scikit-learn: a component that nothing belongs to must not divide by zero.
    size = belongs.sum(axis=0) + 10 * np.finfo(np.float64).eps
    means = x @ belongs / size
    spread = ((x[:, None] - means) ** 2 * belongs).sum(axis=0) / size
    return np.stack([means, spread + added_variance, size / size.sum()], axis=1)


def _partition(x: ScoreArray, k: int) -> IntArray:
    """(N,) k-means clusters of rising values, without a random start: split, then Lloyd's steps.

    With k = 2 the split is already the best there is.
    """
    edges = [0, len(x)]
    while len(edges) <= k:
        cuts = [_split(x[low:high]) for low, high in pairwise(edges)]
        best = int(np.argmax([gain for gain, _ in cuts]))
        edges.insert(best + 1, edges[best] + cuts[best][1])
    cluster = np.repeat(np.arange(k), np.diff(edges))
    for _ in range(100):
        means = np.bincount(cluster, x, minlength=k) / np.bincount(cluster, minlength=k)
        again = np.searchsorted((means[1:] + means[:-1]) / 2, x, side="left")
        if (again == cluster).all() or len(np.unique(again)) < k:
            break
        cluster = again
    return cluster.astype(np.int64)


def _split(x: ScoreArray) -> tuple[float, int]:
    """The cut of rising values that takes off most of their squared deviation, and how much."""
    n = len(x)
    cuts = np.flatnonzero(np.diff(x) > 0) + 1
    if not len(cuts):
        return -np.inf, 0
    total = np.cumsum(x - x.mean())
    gain = total[cuts - 1] ** 2 * n / (cuts * (n - cuts))
    best = int(np.argmax(gain))
    return float(gain[best]), int(cuts[best])


def _rows(x: NDArray[Any]) -> ScoreArray:
    rows = np.asarray(x, np.float64)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError(f"shape {rows.shape} is not (rows, columns), or values are not finite")
    return rows


def _unit(rows: ScoreArray) -> ScoreArray:
    """Rows of length 1; zeros stay zeros."""
    largest = np.abs(rows).max(axis=1, initial=0.0, keepdims=True)
    scaled = np.divide(rows, largest, out=np.zeros_like(rows), where=largest > 0)
    length = np.sqrt((scaled**2).sum(axis=1, keepdims=True))
    return np.divide(scaled, length, out=np.zeros_like(rows), where=length > 0)


def _nearest(a: ScoreArray, b: ScoreArray, k: int, cosine: bool) -> IntArray:
    """(n, k) of one block of queries; unit vectors for the cosine."""
    own = (b**2).sum(axis=1)
    rough = a @ b.T
    rough *= -1.0 if cosine else -2.0
    if not cosine:
        rough += own
    # The rounding of a product of D terms; what might be among the nearest is compared exactly.
    size = np.sqrt((a**2).sum(axis=1) * own.max()) + own.max()
    slack = 8 * (a.shape[1] + 4) * np.finfo(np.float64).eps * size
    bound = np.partition(rough, k - 1, axis=1)[:, k - 1] + 2 * slack
    row, column = np.nonzero(rough <= bound[:, None])
    del rough
    distance = np.empty(len(row))
    step = max(1, _BLOCK // max(1, a.shape[1]))
    for at in range(0, len(row), step):
        mine, other = a[row[at : at + step]], b[column[at : at + step]]
        values = -(mine * other) if cosine else (mine - other) ** 2
        distance[at : at + step] = values.sum(axis=1)
    if cosine:
        distance = distance.round(12)  # equal but for the order of the sum: a tie
    order = np.lexsort((column, distance, row))
    first = np.searchsorted(row[order], np.arange(len(a)))
    return column[order[first[:, None] + np.arange(k)]].astype(np.int64)


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
