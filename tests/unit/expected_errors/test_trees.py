"""Asking every node of all rows gives, to the bit, what rows find on their way down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vidal.expected_errors import leaves
from vidal.expected_errors.prior import shipped_prior
from vidal.expected_errors.trees import Trees


def grown(trees: int, leaves_each: int, columns: int, seed: int) -> Trees:
    """Random trees of so many leaves."""
    rng = np.random.default_rng(seed)
    nodes: list[dict[str, Any]] = []
    roots = []

    def grow(count: int) -> tuple[int, int]:
        """Node and depth below it."""
        at = len(nodes)
        nodes.append(
            {
                "feature": 0,
                "threshold": 0.0,
                "left": at,
                "right": at,
                "unknown_left": False,
                "value": float(rng.normal()),
            }
        )
        if count == 1:
            return at, 0
        share = int(rng.integers(1, count))
        left, one = grow(share)
        right, two = grow(count - share)
        threshold = np.inf if rng.random() < 0.1 else float(rng.integers(-2, 3))
        nodes[at] |= {
            "feature": int(rng.integers(columns)),
            "threshold": threshold,
            "left": left,
            "right": right,
            "unknown_left": bool(rng.random() < 0.5),
            "value": 0.0,
        }
        return at, 1 + max(one, two)

    depths = []
    for _ in range(trees):
        root, depth = grow(leaves_each)
        roots.append(root)
        depths.append(depth)
    kinds = {
        "feature": np.int64,
        "threshold": np.float32,
        "left": np.int64,
        "right": np.int64,
        "unknown_left": np.bool_,
        "value": np.float64,
    }
    table = {name: np.array([n[name] for n in nodes], kind) for name, kind in kinds.items()}
    return Trees(np.array(roots), **table, base=0.1, depth=max(depths))


def rows(count: int, columns: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, 4, (count, columns)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0] = np.nan
    values[1, 0], values[2, 0] = np.inf, -np.inf
    return values


@pytest.mark.parametrize(("trees", "each"), [(8, 2), (8, 12), (16, 16), (120, 12), (128, 5)])
def test_both_ways_give_the_same_numbers(
    trees: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaves, "_AT_ONCE", 300)
    grove, evidence = grown(trees, each, 5, seed=trees), rows(1000, 5)
    table = grove._leaves
    assert table is not None
    np.testing.assert_array_equal(table.sums(evidence), grove._descend(evidence))
    one_by_one = np.concatenate([grove.probability(evidence[n : n + 1]) for n in range(1000)])
    np.testing.assert_array_equal(grove.probability(evidence), one_by_one)


@pytest.mark.parametrize(("trees", "each"), [(7, 3), (12, 3), (136, 2), (8, 17)])
def test_trees_of_other_sizes_are_descended(trees: int, each: int) -> None:
    grove, evidence = grown(trees, each, 5, seed=1), rows(1000, 5)
    assert grove._leaves is None
    one_by_one = np.concatenate([grove.probability(evidence[n : n + 1]) for n in range(1000)])
    np.testing.assert_array_equal(grove.probability(evidence), one_by_one)


def test_the_shipped_trees_are_asked_node_by_node() -> None:
    prior = shipped_prior()
    evidence = np.random.default_rng(2).random((3000, len(prior.columns)), np.float32)
    evidence[evidence < 0.1] = np.nan
    for trees in prior.trees:
        assert trees._leaves is not None
        np.testing.assert_array_equal(trees._leaves.sums(evidence), trees._descend(evidence))
