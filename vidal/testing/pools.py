"""Synthetic pools with all evidence that a strategy may ask for, learned columns included."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.random import Generator

from vidal.protocols import Learner, Remembering
from vidal.types import BACKGROUND, FrameSet, IntArray, Items, Learned, Pool, Regions

COLUMNS = frozenset(
    {
        "errors",
        "embedding",
        "class_mass",
        "expected",
        "expected_objects",
        "told",
        "learned",
        "prior",
        "detections",
    }
)
REGION_COLUMNS = frozenset(
    {
        "passes",
        "members",
        "votes",
        "predicted_loss",
        "labelledness",
        "suppressed",
        "logits",
        "frozen",
        "semantic",
        "distinctive",
        "contrastive",
        "false_alarm",
        "verdict",
    }
)
OTHER_NEEDS = frozenset(
    {"regions", "features", "labelled", "labels", "heads", "trunk", "precision", "asked", "layer"}
    | {"pictures"}
)
CLASSES = ("car", "cyclist", "pedestrian")
EMPTY = np.zeros(0, np.int64)


def a_pool(
    lengths: Sequence[int] = (40, 25, 0, 12),
    *,
    labelled: Sequence[tuple[int, int]] = (),
    regions_per_frame: int = 3,
    seed: int = 0,
    needs: Collection[str] | None = None,
    classes: Sequence[str] = CLASSES,
    first_round: bool = False,
) -> Pool:
    """A pool with all evidence but what has to be learned, see ``completed``.

    Args:
        lengths: frames of each clip.
        labelled: (clip, index) of frames that are.
        regions_per_frame: detections.
        seed: of everything random.
        needs: only what they name; None = everything.
        classes: the K known ones.
        first_round: no query was answered yet, and no unknown object is labelled.
    """
    rng = np.random.default_rng(seed)
    taken = set(labelled)
    pairs = [(c, i) for c, n in enumerate(lengths) for i in range(n) if (c, i) not in taken]
    clip, index = np.array(pairs, np.int64).reshape(-1, 2).T
    clips = tuple(f"clip-{chr(97 + c)}" for c in range(len(lengths)))
    known = np.array(sorted(taken), np.int64).reshape(-1, 2).T
    f, k = len(pairs), len(classes)
    columns = {
        "errors": rng.poisson(0.7, (f, k, 2)).astype(np.float32),
        "embedding": rng.normal(size=(f, 8)).astype(np.float32),
        "class_mass": rng.gamma(1.0, 1.0, (f, k)).astype(np.float32),
        "expected": rng.gamma(0.5, 1.0, (f, k, 2)).astype(np.float32),
        "learned": np.full(f, bool(seed % 2)),
        "prior": np.full(f, seed % 3 / 2, np.float32),
    }
    columns["told"] = 1.5 * columns["expected"]
    columns["detections"] = np.full(f, regions_per_frame)
    columns["expected_objects"] = np.random.default_rng(seed + 3).gamma(0.5, 1.0, (f, k))
    wanted = COLUMNS | REGION_COLUMNS | OTHER_NEEDS if needs is None else frozenset(needs)
    return Pool(
        _timed(clips, clip, index),
        tuple(classes),
        _timed(clips, *known),
        {name: values for name, values in columns.items() if name in wanted},
        some_regions(rng, f * regions_per_frame, f, wanted, k) if "regions" in wanted else None,
        _some_items(seed + 1, k, wanted, first_round) if "labelled" in wanted else None,
        _about_labelled(np.random.default_rng(seed + 2), len(taken), wanted, k),
        precisions=(0.25, 0.75) if "precision" in wanted and not first_round else (),
        layer=_a_layer(seed + 6, k) if "layer" in wanted else None,
    )


def _a_layer(seed: int, k: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(16, k)).astype(np.float32), rng.normal(size=k).astype(np.float32)


def _some_items(seed: int, k: int, wanted: frozenset[str], first_round: bool) -> Items:
    items = some_items(np.random.default_rng(seed), k=k)
    shapes = {"frozen": (16,), "logits": (k,), "semantic": (16,), "contrastive": (16,)}
    for number, (name, shape) in enumerate({**shapes, "distinctive": (4, 16)}.items()):
        if name in wanted:
            rng = np.random.default_rng(seed + 5 + number)
            more = rng.normal(size=(len(items), *shape)).astype(np.float32)
            items = replace(items, columns={**items.columns, name: more})
    return items.keep(items.answers != items.unknown) if first_round else items


def some_items(rng: Generator, m: int = 24, k: int = len(CLASSES)) -> Items:
    """``m`` labelled detections: of every class, outside the classes, and background."""
    features = rng.normal(size=(m, 16)).astype(np.float32)
    probs = rng.dirichlet(np.ones(k + 1), m).astype(np.float32)
    columns = {
        "labels": np.arange(m) * 7 % k,
        "scores": probs[:, :-1].max(axis=1),
        "suppressed": rng.poisson(4.0, m) + 1,
    }
    return Items(features, probs, np.arange(m) % (k + 2) + BACKGROUND, columns)


def _about_labelled(rng: Generator, count: int, wanted: frozenset[str], k: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        "embedding": rng.normal(size=(count, 8)).astype(np.float32),
        "objects": rng.poisson(1.0, (count, k)),
    }
    asked = {"embedding": "embedding", "objects": "labelled"}
    return {name: rows for name, rows in values.items() if asked[name] in wanted}


def some_regions(
    rng: Generator,
    n: int,
    f: int,
    wanted: frozenset[str] = REGION_COLUMNS,
    k: int = len(CLASSES),
) -> Regions:
    """``n`` detections of ``k`` classes spread evenly over ``f`` frames."""
    more = np.random.default_rng(n)
    columns: dict[str, Any] = {
        "passes": more.dirichlet(np.ones(k + 1), (n, 5)).astype(np.float32),
        "members": more.dirichlet(np.ones(k + 1), (n, 4)).astype(np.float32),
        "votes": more.integers(0, k + 1, (n, 6)).astype(np.int16),
        "predicted_loss": more.normal(size=n),
        "labelledness": more.random(n),
        "suppressed": more.poisson(4.0, n) + 1,
        "logits": more.normal(size=(n, k)).astype(np.float32),
        "frozen": more.normal(size=(n, 16)).astype(np.float32),
        "semantic": more.normal(size=(n, 16)).astype(np.float32),
        "distinctive": more.normal(size=(n, 4, 16)).astype(np.float32),
        "contrastive": more.normal(size=(n, 16)).astype(np.float32),
        "false_alarm": more.random(n).astype(np.float32),
        "verdict": more.integers(0, 2, n).astype(np.float32),
    }
    probs = rng.dirichlet(np.ones(k + 1), n).astype(np.float32)
    corner = rng.uniform(0, 100, (n, 2))
    return Regions(
        np.repeat(np.arange(f), n // f) if f else EMPTY,
        np.hstack([corner, corner + rng.uniform(5, 50, (n, 2))]),
        probs[:, :-1].max(axis=1, initial=0.0),
        np.where(np.arange(n) % 5, probs[:, :-1].argmax(axis=1), -1) if n else EMPTY,
        probs,
        rng.normal(size=(n, 16)).astype(np.float16),
        {name: values for name, values in columns.items() if name in wanted},
    )


def generator(seed: int = 7) -> Generator:
    """The random numbers of one selection."""
    return np.random.default_rng(seed)


def _timed(clips: tuple[str, ...], clip: IntArray, index: IntArray) -> FrameSet:
    """Frames of ten a second, told in milliseconds."""
    return FrameSet(clips, clip, index, 100 * index, (Fraction(1, 1000),) * len(clips))


def distances(pool: Pool, picks: IntArray) -> int:
    """Least index distance of picks of one clip, to each other and to labelled frames."""
    least = 10**9
    for clip in range(len(pool.frames.clips)):
        mine = np.sort(pool.frames.index[picks][pool.frames.clip[picks] == clip])
        known = pool.labelled.index[pool.labelled.clip == clip]
        least = min([least, *np.diff(mine).tolist()])
        least = min([least, *np.abs(mine[:, None] - known).ravel().tolist()])
    return least


def joined(first: Pool, second: Pool) -> Pool:
    """Two one-clip pools as one pool of two clips."""
    f = len(first)
    both = FrameSet(
        ("clip-a", "clip-b"),
        np.repeat([0, 1], [f, len(second)]),
        np.concatenate([first.frames.index, second.frames.index]),
    )
    assert first.regions is not None
    assert second.regions is not None
    rows = {
        name: np.concatenate([getattr(first.regions, name), getattr(second.regions, name)])
        for name in ("boxes", "scores", "labels", "probs", "features")
    }
    pos = np.concatenate([first.regions.pos, second.regions.pos + f])
    columns = {
        name: np.concatenate([values, second.regions.columns[name]])
        for name, values in first.regions.columns.items()
    }
    return Pool(
        both,
        CLASSES,
        FrameSet(both.clips, EMPTY, EMPTY),
        {c: np.concatenate([first.column(c), second.column(c)]) for c in sorted(COLUMNS)},
        Regions(pos=pos, **rows, columns=columns),
        first.items,
        {"objects": np.zeros((0, len(CLASSES)), np.int64), "embedding": np.zeros((0, 8))},
        layer=_a_layer(0, len(CLASSES)),
    )


_LEARNED: dict[tuple[str, str], Learned] = {}
"""What was learned in this process: many checks look at the same pool."""


def completed(pool: Pool, strategy: Any, *, history: bool = True) -> Pool:
    """The pool with what a strategy, and those that it wraps, learn of it and remembered.

    They train for real, on a trunk of regions with few units and few steps.

    Args:
        pool: of ``a_pool``; comes back as it is for a strategy that learns nothing.
        strategy: as it will select.
        history: whether a query was answered before.
    """
    from vidal.selection.trained import learners_of

    learners = learners_of(strategy)
    if pool.regions is None or pool.items is None:
        return pool
    columns, about = dict(pool.regions.columns), dict(pool.items.columns)
    for learner in learners:
        found = learned(pool, learner)
        columns |= found.pool
        about |= found.labelled
    pool = replace(
        pool,
        regions=replace(pool.regions, columns=columns),
        items=replace(pool.items, columns=about),
    )
    return _with_memory(pool, strategy) if history and "asked" in strategy.needs else pool


def learned(pool: Pool, learner: Learner, seed: int = 11) -> Learned:
    """What one strategy learns of a pool with detections and labelled items; kept."""
    assert pool.regions is not None
    assert pool.items is not None
    digest = sha256(str(seed).encode())
    for array in (
        pool.regions.features,
        pool.regions.probs,
        pool.items.features,
        pool.items.probs,
        pool.items.answers,
    ):
        digest.update(repr(array.shape).encode() + array.tobytes())
    key = repr(learner), digest.hexdigest()
    if key not in _LEARNED:
        _LEARNED[key] = learner.learn(a_trunk(pool, learner), seed)
    return _LEARNED[key]


def a_trunk(pool: Pool, learner: Any = None) -> Any:
    """A trunk that learns fast, and little: of regions, or of pictures where they are needed."""
    from vidal.heads.options import HeadOptions
    from vidal.heads.trunk import RegionTrunk

    assert pool.regions is not None
    assert pool.items is not None
    if "pictures" in getattr(learner, "needs", ()):
        return _picture_trunk(pool.regions, pool.items)
    quick = HeadOptions(width=16, epochs=1, batch=16, least_steps=20)
    return RegionTrunk(pool.items, pool.regions.features, pool.regions.probs, quick)


def _picture_trunk(regions: Regions, items: Items) -> Any:
    """Pictures of 8 x 8 pixels that show the features; what was background is unknown."""
    import torch

    from vidal.images.networks import NetworkSpec, build
    from vidal.images.recipes import Recipe
    from vidal.images.training import Model, Scale, Stock
    from vidal.images.trunk import PictureTrunk

    def shown(features: Any) -> Any:
        squares = np.clip(128 + 40 * features[:, :16].astype(np.float64), 0, 255)
        pixels = squares.reshape(-1, 4, 4, 1).repeat(2, axis=1).repeat(2, axis=2)
        return pixels.astype(np.uint8)

    answers = np.where(items.answers == BACKGROUND, items.unknown, items.answers)
    pixels = [shown(each) for each in (regions.features, items.features)]
    scale = Scale.of(pixels[1])
    recipe = Recipe(widths=(4, 4, 4), steps=4, epochs=1, batch=8, precision="fp32")
    network = build(NetworkSpec.of(recipe, (8, 8, 1), items.unknown), 0)
    pool, labelled = (Stock.of(each, scale, torch.device("cpu")) for each in pixels)
    return PictureTrunk(pool, labelled, answers, Model(network.eval(), scale, False), recipe)


def _with_memory(pool: Pool, strategy: Any) -> Pool:
    """With a last query that asked for some detections like those of the pool."""
    regions = pool.regions
    assert regions is not None
    rows = np.arange(min(12, len(regions)))
    if not len(rows):
        return pool
    columns: dict[str, Any] = {}
    each = strategy
    while each is not None:
        if isinstance(each, Remembering):
            columns |= each.memory(pool, rows)
        each = getattr(each, "inner", None)
    k = len(pool.classes)
    answers = np.arange(len(rows)) % (k + 2) + BACKGROUND
    return replace(
        pool,
        asked=Items(
            regions.features[rows].astype(np.float32), regions.probs[rows], answers, columns
        ),
    )
