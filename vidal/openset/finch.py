"""FINCH: clusters of first neighbours, without parameters.

Sarfraz, Sharma and Stiefelhagen, "Efficient parameter-free clustering using first neighbor
relations", CVPR 2019. Items whose first neighbours lead to each other are one cluster; means of
clusters are clustered again. Written from the paper: the authors' code is for non-commercial use.
Their code stops early where means lie further apart than first neighbours ever did; here partitions
go on to one cluster, since a number of clusters is always given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.arrays import components, nearest
from vidal.types import IntArray, ScoreArray

_PAIRS = 1_024
"""Clusters of which all pairs are compared when single ones are merged: 8 MB."""


def first_neighbours(features: NDArray[Any]) -> IntArray:
    """(N,) the nearest other row by cosine, equals by the lower one; N >= 2."""
    two = nearest(features, features, 2)
    return np.where(two[:, 0] == np.arange(len(two)), two[:, 1], two[:, 0])


def first_neighbour_clusters(features: NDArray[Any]) -> IntArray:
    """(N, D) -> (N,) clusters of FINCH's finest partition, numbered by their first item.

    The graph joins an item with its first neighbour by cosine; items that share one are joined by
    it. One item is one cluster.
    """
    n = len(features)
    if n < 2:
        return np.zeros(n, np.int64)
    return components(n, np.arange(n), first_neighbours(features))


def partitions(features: NDArray[Any]) -> list[IntArray]:
    """FINCH's partitions (N,) each, from the finest to one cluster; at least one."""
    found = [first_neighbour_clusters(features)]
    while (count := int(found[-1].max(initial=-1)) + 1) > 1:
        merged = first_neighbour_clusters(means_of(features, found[-1], count))
        found.append(merged[found[-1]])
    return found


def finest_within(candidates: list[IntArray], most: int) -> IntArray:
    """The finest of rising partitions with at most ``most`` clusters, ``most`` >= 1."""
    return next(each for each in candidates if each.max(initial=-1) < most)


def clusters_of_number(features: NDArray[Any], count: int) -> IntArray:
    """(N,) clusters, ``count`` of them (all distinct items where there are fewer).

    From the coarsest partition that has enough, or from single items, the nearest pair of means is
    merged until ``count`` are left, as in the paper's algorithm 2.

    Args:
        features: (N, D).
        count: >= 1.
    """
    n = len(features)
    distinct, same = _distinct(features)
    levels = [np.arange(len(distinct)), *partitions(distinct)]
    start = next(each for each in reversed(levels) if _number(each) >= min(count, len(distinct)))
    if not n:
        return np.zeros(0, np.int64)
    start = _fewer(distinct, start, max(count, _PAIRS))
    return _merged(features, start[same], count)


def means_of(features: NDArray[Any], clusters: IntArray, count: int) -> ScoreArray:
    """(count, D) mean of every cluster."""
    total = np.zeros((count, features.shape[1]))
    np.add.at(total, clusters, np.asarray(features, np.float64))
    sizes = np.bincount(clusters, minlength=count)
    return total / np.maximum(1, sizes)[:, None]


def _number(clusters: IntArray) -> int:
    return int(clusters.max(initial=-1)) + 1


def _distinct(features: NDArray[Any]) -> tuple[NDArray[Any], IntArray]:
    """Rows that differ, in the order of their first one, and (N,) which of them each row is."""
    _, first, place = np.unique(features, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return features[first[order]], rank[place.reshape(-1)].astype(np.int64)


def _fewer(features: NDArray[Any], clusters: IntArray, most: int) -> IntArray:
    """At most ``most`` clusters: the nearest links between first neighbours are taken at once."""
    while (count := _number(clusters)) > most:
        means = means_of(features, clusters, count)
        to = first_neighbours(means)
        links = np.unique(np.sort(np.stack([np.arange(count), to], axis=1), axis=1), axis=0)
        unit = _unit(means)
        near = np.argsort(-(unit[links[:, 0]] * unit[links[:, 1]]).sum(axis=1), kind="stable")
        kept = links[near[: count - most]]
        clusters = components(count, kept[:, 0], kept[:, 1])[clusters]
    return clusters


def _merged(features: NDArray[Any], clusters: IntArray, count: int) -> IntArray:
    """The nearest two means, by cosine, become one until ``count`` are left."""
    number = _number(clusters)
    sizes = np.bincount(clusters, minlength=number).astype(np.float64)
    sums = means_of(features, clusters, number) * sizes[:, None]
    alike = _alike(sums, sums)
    np.fill_diagonal(alike, -np.inf)
    name = np.arange(number)
    for _ in range(number - count):
        keep, gone = sorted(divmod(int(alike.argmax()), number))
        sums[keep] += sums[gone]
        name[name == gone] = keep
        row = np.where(np.isneginf(alike[keep]), -np.inf, _alike(sums[keep : keep + 1], sums)[0])
        alike[keep], alike[:, keep] = row, row
        alike[gone], alike[:, gone] = -np.inf, -np.inf
    return np.unique(name[clusters], return_inverse=True)[1].reshape(-1).astype(np.int64)


def _alike(a: ScoreArray, b: ScoreArray) -> ScoreArray:
    """Cosines of rows, rounded so that equals tie."""
    return np.asarray((_unit(a) @ _unit(b).T).round(12))


def _unit(rows: ScoreArray) -> ScoreArray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
