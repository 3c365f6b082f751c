"""Pools in which unknown objects lie between known classes, for methods that train."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from vidal.heads.options import HeadOptions
from vidal.heads.trunk import RegionTrunk
from vidal.query.select import lift
from vidal.types import FrameSet, Items, Pool, Regions

K, WIDTH = 3, 8
QUICK = HeadOptions(width=32, epochs=10, batch=32, least_steps=150)
CORNERS = 3.0 * np.eye(K, WIDTH)


@dataclass(frozen=True, eq=False)
class Problem:
    """A pool, and which of its items are unknown."""

    pool: Pool
    unknown: np.ndarray

    @property
    def share_of_known(self):
        return float((~self.unknown).mean())

    def trunk(self):
        regions = self.pool.regions
        return RegionTrunk(self.pool.items, regions.features, regions.probs, QUICK)

    def completed(self, strategy, seed=1):
        found = strategy.learn(self.trunk(), seed)
        regions = self.pool.regions
        return replace(
            self.pool, regions=replace(regions, columns={**regions.columns, **found.pool})
        )


def drawn(kinds, rng, noise):
    """Kinds 0..2 known, at corners; 3..5 unknown, between two corners and off to one side."""
    between = np.stack([(CORNERS[i] + CORNERS[(i + 1) % K]) / 2 for i in range(K)])
    for i in range(K):
        between[i, K + i] += 1.5
    centres = np.concatenate([CORNERS, between])
    return centres[kinds] + rng.normal(0, noise, (len(kinds), WIDTH))


def probs_of(features):
    """What a classifier of the known classes says: by the distance to their corners."""
    squares = ((features[:, None] - CORNERS) ** 2).sum(axis=2)
    return np.concatenate([softmax(-squares / 3, axis=1), np.zeros((len(features), 1))], axis=1)


def planted(seed=0, *, each=40, noise=0.6, unknown_labelled=12, precisions=(0.5,)):
    """Half of the pool is unknown, and the closed-set classifier doubts it most."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.repeat(np.arange(2 * K), each))
    features = drawn(kinds, rng, noise)
    told = np.repeat(np.arange(2 * K), [12] * K + [unknown_labelled] * K)
    labelled = drawn(told, rng, noise)
    n, none = len(kinds), np.zeros(0, np.int64)
    probs = probs_of(features)
    regions = Regions(
        np.arange(n),
        np.tile([0.0, 0, 8, 8], (n, 1)),
        probs.max(axis=1),
        probs[:, :-1].argmax(axis=1),
        probs,
        features,
        {"logits": np.log(probs[:, :-1] + 1e-9)},
    )
    frames = FrameSet(("images",), np.zeros(n, np.int64), np.arange(n))
    pool = Pool(
        frames,
        ("a", "b", "c"),
        FrameSet(("images",), none, none),
        regions=regions,
        items=Items(labelled, probs_of(labelled), np.minimum(told, K)),
        precisions=precisions,
    )
    return Problem(pool, kinds >= K)


def precision_of(problem, pool, strategy, budget=40, seed=0):
    """Share of known items in what a strategy asks for."""
    picks = lift(strategy, 0).select(pool, budget, np.random.default_rng(seed))
    assert len(np.unique(picks)) == budget
    return float((~problem.unknown[picks]).mean())
