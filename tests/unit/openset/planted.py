"""Pools of images in which it is known who is unknown."""

import numpy as np

from vidal.assemble import STRATEGIES
from vidal.query.options import build
from vidal.query.select import lift
from vidal.types import FrameSet, Items, Pool, Regions

NONE = np.zeros(0, np.int64)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def image_pool(features, labelled, answers, weight, bias=None, frozen=None, classes=None):
    """Images with these features (N, D), labelled ones (M, D) and a last layer (D, K)."""
    k = weight.shape[1]
    bias = np.zeros(k) if bias is None else bias
    sides = []
    own, known = (features, labelled) if frozen is None else frozen
    for rows, still in ((features, own), (labelled, known)):
        logits = rows @ weight + bias
        probs = np.concatenate([softmax(logits), np.zeros((len(rows), 1))], axis=1)
        sides.append((rows, probs, {"logits": logits, "frozen": still}))
    n = len(features)
    (_, probs, columns), (_, base, about) = sides
    regions = Regions(
        np.arange(n),
        np.tile([0.0, 0, 8, 8], (n, 1)),
        probs.max(axis=1, initial=0.0),
        probs[:, :-1].argmax(axis=1) if n else NONE,
        probs,
        features,
        columns,
    )
    clips = ("images",)
    return Pool(
        FrameSet(clips, np.zeros(n, np.int64), np.arange(n)),
        tuple(f"class-{c}" for c in range(k)) if classes is None else classes,
        FrameSet(clips, NONE, NONE),
        {"embedding": features},
        regions,
        Items(labelled, base, answers, about),
        {"embedding": np.zeros((0, features.shape[1]))},
        layer=(weight, bias),
    )


def share_of_known(name, pool, unknown, budget, seed=0, **options):
    """Query precision: unknown (N,) bool says who is."""
    selector = lift(build(STRATEGIES[name], options), 0)
    picks = selector.select(pool, budget, np.random.default_rng(seed))
    assert len(np.unique(picks)) == budget
    return float((~unknown[picks]).mean())
