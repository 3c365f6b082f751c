"""A planted pool of detections, two known classes and two kinds of unknown objects, with labels.

The first unknown kind lies between the classes, so the detector is unsure of it; the second looks
like the first class to the detector, and differs in features that it does not read.
"""

from dataclasses import replace

import numpy as np

from vidal.assemble import STRATEGIES
from vidal.heads.options import HeadOptions
from vidal.heads.trunk import RegionTrunk
from vidal.query.options import build
from vidal.query.select import lift
from vidal.selection.trained import learners_of
from vidal.types import BACKGROUND, FrameSet, Items, Pool, Regions

K = 2
CENTRES = np.zeros((5, 8))
CENTRES[0, 0] = CENTRES[1, 1] = 4
CENTRES[2, [0, 1, 3]] = 2, 2, 4
CENTRES[3, [0, 4]] = 3, 4
CENTRES[4, 5] = 4
ANSWERS = np.array([0, 1, K, K, BACKGROUND])
OPTIONS = HeadOptions(width=32, epochs=5, least_steps=200)
NONE = np.zeros(0, np.int64)


def some(kinds, rng):
    """Features of these kinds, and what a detector of the two classes says of them."""
    features = CENTRES[kinds] + 0.8 * rng.normal(size=(len(kinds), 8))
    power = np.exp(1.2 * features[:, :K])
    probs = np.column_stack([power, np.full(len(kinds), 2.0)])
    return features, probs / probs.sum(axis=1, keepdims=True)


def a_problem(seed=0, size=300, labelled=(20, 20, 20, 20, 10)):
    """A pool of one detection a frame, and (N,) bool: those that are unknown."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(4, size, p=[0.2, 0.2, 0.3, 0.3])
    features, probs = some(kinds, rng)
    regions = Regions(
        np.arange(size),
        np.tile([0.0, 0, 8, 8], (size, 1)),
        probs[:, :-1].max(axis=1),
        probs[:, :-1].argmax(axis=1),
        probs,
        features,
        {"frozen": features.astype(np.float32)},
    )
    taught = np.repeat(np.arange(5), labelled)
    items = Items(*some(taught, rng), ANSWERS[taught])
    frames = FrameSet(("clip",), np.zeros(size, np.int64), np.arange(size))
    pool = Pool(
        frames,
        ("car", "person"),
        FrameSet(("clip",), NONE, NONE),
        regions=regions,
        items=items,
        precisions=(0.5,),
    )
    return pool, kinds >= K


def taught(pool, selector, seed=3, options=OPTIONS):
    """The pool with what a strategy learns of it."""
    trunk = RegionTrunk(pool.items, pool.regions.features, pool.regions.probs, options)
    for learner in learners_of(selector):
        found = learner.learn(trunk, seed)
        pool = replace(
            pool,
            regions=replace(pool.regions, columns={**pool.regions.columns, **found.pool}),
            items=replace(pool.items, columns={**pool.items.columns, **found.labelled}),
        )
    return pool


def picks_of(name, pool, budget, seed=0, training=OPTIONS, **options):
    """Positions, by a strategy that has learned."""
    selector = lift(build(STRATEGIES[name], options), 0)
    picks = selector.select(
        taught(pool, selector, options=training), budget, np.random.default_rng(seed)
    )
    assert len(np.unique(picks)) == budget
    return picks
