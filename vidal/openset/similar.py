"""SIMILAR: items that resemble known labelled ones, no unknown ones, and not each other.

Kothawade, Beck, Killamsetty and Iyer, "SIMILAR: submodular information measures based active
learning in realistic scenarios", NeurIPS 2021: Q = labelled objects of known classes, P = annotated
unknown ones, s = cosine of gradients of the last layer, weights and bias. Decisions: cosines keep
their sign, as in MQ-Net's copy (DISTIL's are (s + 1) / 2, which changes what is cut off at 0);
nothing is ever below 0, with P empty too; eta = nu = 1. FLCMI and FLCG are facility location on a
clipped kernel, so one greedy rule serves both.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.arrays import numbered
from vidal.types import IntArray, ScoreArray


def gradient_similarity(
    errors_a: NDArray[Any],
    features_a: NDArray[Any],
    errors_b: NDArray[Any],
    features_b: NDArray[Any],
) -> ScoreArray:
    """(N, M) cosine of gradients of a last layer with bias, in [-1, 1]; 0 with a gradient of zero.

    Their inner product is (q . q')(1 + f . f') with the errors q = p - e_y, so the cosine is that
    of the errors times that of the features with a 1 behind them.

    Args:
        errors_a: (N, C) probabilities less 1 for the class that counts as right.
        features_a: (N, D) what the layer reads.
        errors_b: (M, C).
        features_b: (M, D).

    Raises:
        ValueError: other shapes, or values that are not finite.
    """
    left = gradient_directions(errors_a, features_a)
    right = gradient_directions(errors_b, features_b)
    if any(a.shape[1] != b.shape[1] for a, b in zip(left, right, strict=True)):
        raise ValueError("other numbers of classes or features on the two sides")
    return similarity(left, right)


def gradient_directions(
    errors: NDArray[Any], features: NDArray[Any]
) -> tuple[ScoreArray, ScoreArray]:
    """Errors (N, C) and features with a 1 behind them (N, D + 1), as rows of length 1 or 0.

    Raises:
        ValueError: other numbers of rows, or values that are not finite.
    """
    q, f = np.asarray(errors, np.float64), np.asarray(features, np.float64)
    if q.ndim != 2 or f.ndim != 2 or len(q) != len(f):
        raise ValueError(f"errors {q.shape} with features {f.shape}")
    whole = np.concatenate([f, np.ones((len(f), 1))], axis=1)
    if not np.isfinite(q).all() or not np.isfinite(whole).all():
        raise ValueError("values that are not finite")
    return _unit(q), _unit(whole)


def similarity(
    a: tuple[NDArray[Any], NDArray[Any]], b: tuple[NDArray[Any], NDArray[Any]]
) -> NDArray[Any]:
    """(N, M) cosines of two sides of `gradient_directions`, in their precision."""
    result = a[0] @ b[0].T
    result *= a[1] @ b[1].T
    return result


def clipped_kernel(
    kernel: NDArray[Any],
    query: NDArray[Any] | None,
    private: NDArray[Any] | None,
    eta: float = 1,
    nu: float = 1,
) -> ScoreArray:
    """(N, N) max(min(s_ij, eta q_i) - nu p_i, 0); facility location on it is FLCMI, or FLCG.

    Args:
        kernel: (N, N) similarities; row i is what is to be covered.
        query: (N, Q) to what is wanted, q_i its largest; None = FLCG, which has no minimum. Without
            columns nothing is wanted: q_i = 0.
        private: (N, P) to what is not, p_i its largest; None, or without columns: nothing is taken
            off.
        eta: weight of q.
        nu: weight of p.

    Raises:
        ValueError: other shapes.
    """
    s = np.asarray(kernel, np.float64)
    if s.ndim != 2 or s.shape[0] != s.shape[1]:
        raise ValueError(f"kernel {s.shape}: not square")
    most = None if query is None else eta * _largest(query, len(s))
    off = nu * _largest(private, len(s)) if private is not None else np.zeros(len(s))
    return np.asarray(clip_rows(s, most, off))


def clip_rows(similarities: NDArray[Any], most: ScoreArray | None, off: ScoreArray) -> NDArray[Any]:
    """(n, m) >= 0: similarities (n, m), at most ``most`` (n,), less ``off`` (n,); their type."""
    kind = similarities.dtype
    result = similarities - off[:, None].astype(kind)
    if most is not None:
        np.minimum(result, (most - off)[:, None].astype(kind), out=result)
    return np.maximum(result, 0, out=result)


def flcmi_value(
    kernel: NDArray[Any],
    query: NDArray[Any] | None,
    private: NDArray[Any] | None,
    chosen: NDArray[Any],
    eta: float = 1,
    nu: float = 1,
) -> float:
    """sum_i max over chosen j of the clipped kernel: what they tell of Q, given P; 0 of none.

    Args:
        kernel, query, private, eta, nu: as of `clipped_kernel`.
        chosen: positions, or a mask (N,) of bool.
    """
    clipped = clipped_kernel(kernel, query, private, eta, nu)
    return float(_covered(clipped, chosen).sum())


def flcmi_gains(
    kernel: NDArray[Any],
    query: NDArray[Any] | None,
    private: NDArray[Any] | None,
    chosen: NDArray[Any],
    eta: float = 1,
    nu: float = 1,
) -> ScoreArray:
    """(N,) by how much `flcmi_value` rises with each item; 0 of those that are chosen."""
    clipped = clipped_kernel(kernel, query, private, eta, nu)
    more = clipped - _covered(clipped, chosen)[:, None]
    return np.asarray(np.maximum(more, 0.0).sum(axis=0))


def lazy_greedy(
    kernel: NDArray[Any], budget: int, relevance: NDArray[Any] | None = None
) -> IntArray:
    """``min(budget, N)`` positions in the order picked: each covers most of what is left.

    Facility location sum_i max_j k_ij, which starts from 0, by Minoux's lazy greedy rule: the gain
    of an item only falls, so what it was is a bound, and few are computed again. The picks are
    those of the plain greedy rule. Equal gains go to the lower position.

    Args:
        kernel: (n, N) >= 0; row i is what is covered, column j what may be picked. Usually n = N.
        budget: at least 0.
        relevance: (N,) orders, falling, what is picked when no gain is left; None = position.

    Raises:
        ValueError: a value below 0 or not finite, or a relevance of another length.
    """
    picks = gainful(kernel, budget)
    n = np.shape(kernel)[1]
    worth = np.zeros(n) if relevance is None else np.asarray(relevance, np.float64).reshape(-1)
    if len(worth) != n:
        raise ValueError(f"a relevance of {len(worth)} for {n} items")
    rest = np.ones(n, np.bool_)
    rest[picks] = False
    order = np.argsort(-worth, kind="stable")
    return np.concatenate([picks, order[rest[order]]])[: max(0, budget)]


def gainful(kernel: NDArray[Any], budget: int) -> IntArray:
    """The picks of `lazy_greedy` as long as there is a gain, at most ``budget`` of them.

    Args:
        kernel, budget: as there; a kernel of float32 is added up in float64.

    Raises:
        ValueError: a value below 0 or not finite.
    """
    columns = np.ascontiguousarray(np.asarray(kernel).T)
    if columns.dtype not in (np.float32, np.float64):
        columns = columns.astype(np.float64)
    if not (columns >= 0).all() or not np.isfinite(columns).all():
        raise ValueError("a kernel with values below 0 or not finite")
    covered = np.zeros(columns.shape[1], columns.dtype)
    # As later gains: row by row, so that equal items stay equal to the last bit.
    gains = columns.sum(axis=1, dtype=np.float64)
    heap = [(-gain, row, 0) for row, gain in enumerate(gains.tolist())]
    heapq.heapify(heap)
    picks: list[int] = []
    while heap and len(picks) < budget:
        bound, row, when = heap[0]
        if bound >= 0:
            break
        if when == len(picks):
            heapq.heappop(heap)
            picks.append(row)
            np.maximum(covered, columns[row], out=covered)
            continue
        more = np.maximum(columns[row] - covered, 0).sum(dtype=np.float64)
        heapq.heapreplace(heap, (-float(more), row, len(picks)))
    return np.array(picks, np.int64)


def logdet_cmi(
    kernel: NDArray[Any],
    query: NDArray[Any],
    private: NDArray[Any] | None,
    query_query: NDArray[Any],
    private_private: NDArray[Any] | None,
    query_private: NDArray[Any] | None,
    chosen: NDArray[Any],
    eta: float = 1,
    nu: float = 1,
    ridge: float = 1,
) -> float:
    """LogDetCMI: log det of Q given P, less log det of Q given P and what is chosen; 0 of none.

    As in submodlib: ``eta`` scales the similarities of pool and Q, ``nu`` those of pool and P, and
    ``ridge`` is added to the diagonal of all. Not monotone, and not submodular for sure.

    Args:
        kernel: (N, N).
        query: (N, Q).
        private: (N, P); None = no P.
        query_query: (Q, Q).
        private_private: (P, P).
        query_private: (Q, P).
        chosen: positions, or a mask (N,) of bool.
        eta, nu, ridge: see above.

    Raises:
        ValueError: the matrix of chosen, Q and P is not positive definite.
    """
    a = numbered(chosen, len(kernel), "chosen")
    s, q = np.asarray(kernel, np.float64)[np.ix_(a, a)], eta * np.asarray(query, np.float64)[a]
    qq = np.asarray(query_query, np.float64).reshape(q.shape[1], q.shape[1])
    if private is None or private_private is None or query_private is None:
        p, pp, qp = np.zeros((len(a), 0)), np.zeros((0, 0)), np.zeros((len(qq), 0))
    else:
        p = nu * np.asarray(private, np.float64)[a]
        pp = np.asarray(private_private, np.float64).reshape(p.shape[1], p.shape[1])
        qp = np.asarray(query_private, np.float64).reshape(len(qq), len(pp))
    sizes = [
        _logdet(np.block([[qq, qp], [qp.T, pp]]), ridge),
        _logdet(pp, ridge),
        _logdet(np.block([[s, q, p], [q.T, qq, qp], [p.T, qp.T, pp]]), ridge),
        _logdet(np.block([[s, p], [p.T, pp]]), ridge),
    ]
    return float(sizes[0] - sizes[1] - sizes[2] + sizes[3])


def _logdet(matrix: ScoreArray, ridge: float) -> float:
    sign, size = np.linalg.slogdet(matrix + ridge * np.eye(len(matrix)))
    if not sign > 0:
        raise ValueError("similarities that are not positive definite: give a larger ridge")
    return float(size)


def _largest(similarities: NDArray[Any], rows: int) -> ScoreArray:
    """(rows,) largest column of each; 0 without columns."""
    wide = np.asarray(similarities, np.float64)
    if not wide.size:
        return np.zeros(rows)
    if wide.ndim != 2 or len(wide) != rows:
        raise ValueError(f"similarities {wide.shape} of {rows} items")
    return np.asarray(wide.max(axis=1))


def _covered(clipped: ScoreArray, chosen: NDArray[Any]) -> ScoreArray:
    """(N,) the largest of the chosen columns, from 0."""
    picks = numbered(chosen, len(clipped), "chosen")
    return np.asarray(clipped[:, picks].max(axis=1, initial=0.0))


def _unit(rows: ScoreArray) -> ScoreArray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
