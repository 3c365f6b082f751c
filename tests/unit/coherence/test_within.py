"""The estimate of a stretch of a clip is the part of the whole clip's, or none at all."""

from dataclasses import fields, replace

import numpy as np
import pytest

from vidal.coherence import (
    CoherenceOptions,
    Part,
    estimate,
    estimate_part,
    least_halo,
)
from vidal.evidence.tables import (
    carried_of_frames,
    estimate_of,
    frames_of,
    join_estimates,
)
from vidal.evidence.windows import Window, cut_windows
from vidal.track import propagate
from vidal.types import Detections

SIZE = (120, 200)
FRAMES = 300


class Drift:
    """Boxes move as the objects do."""

    def step(self, before, after, boxes):
        shift = (after - before).astype(np.float32)[:, None] * np.float32([0.5, 0.25, 0.5, 0.25])
        return boxes + shift, np.ones(len(boxes), np.float32)


def clip(seed, objects=6, missing=0.3, false=1.0):
    """Long chains of detections with holes, and false alarms in between."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(objects):
        x, y, first = rng.uniform(0, 60), rng.uniform(0, 40), rng.integers(0, FRAMES // 2)
        for at in range(first, min(FRAMES, first + rng.integers(20, FRAMES))):
            if rng.random() > missing:
                shift = np.array([0.5, 0.25, 0.5, 0.25]) * at
                box = np.array([x, y, x + 18, y + 14]) + shift + rng.normal(0, 1.5, 4)
                rows.append((at, box, rng.integers(0, 2)))
    for at in range(FRAMES):
        for _ in range(rng.poisson(false)):
            x, y = rng.uniform(0, 160), rng.uniform(0, 90)
            rows.append((at, np.array([x, y, x + 20, y + 16]), rng.integers(0, 2)))
    rows.sort(key=lambda row: row[0])
    n = len(rows)
    probs = np.tile(np.float32([0.4, 0.4, 0.2]), (n, 1))
    return Detections(
        classes=("a", "b"),
        scanned=np.ones(FRAMES, np.bool_),
        frame=np.array([row[0] for row in rows], np.int64),
        boxes=np.array([row[1] for row in rows], np.float32).reshape(-1, 4),
        scores=rng.uniform(0.5, 1, n).astype(np.float32),
        labels=np.array([row[2] for row in rows], np.int64),
        probs=probs,
        features=np.zeros((n, 0), np.float16),
        embedding=np.zeros((FRAMES, 0), np.float32),
    )


def part_of(table, carried, options, window, halo):
    around = window.grown(halo, FRAMES)
    part = Part(
        window.start - around.start,
        window.stop - around.start,
        around.start > 0,
        around.stop < FRAMES,
    )
    stretch = frames_of(table, around)
    found = estimate_part(
        stretch, carried_of_frames(carried, table.frame, around), options, part, size=SIZE
    )
    if found is None:
        return None
    first = int(np.searchsorted(stretch.frame, part.start))
    return replace(found, rows=found.rows - first)


def assert_same(one, other):
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs, err_msg=field.name)


OPTIONS = [
    {},
    {"weight": 2, "tie": "top"},
    {"weight": 20, "window": 2},
    {"link_mode": "one_to_one", "clustering": "greedy", "cluster_iou": 0.5},
    {"same_class": False, "clustering": "none", "window": 5, "weight": 3},
    {"solver": "scipy", "false_positive_cost": 2},
]


@pytest.mark.parametrize("given", OPTIONS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_windows_of_a_clip_give_the_whole_clip_s_estimate(given, seed):
    options, table = CoherenceOptions(**given), clip(seed)
    carried = propagate(table, Drift(), window=options.window, size=SIZE)
    whole = estimate(table, carried, options, size=SIZE)
    assert whole.false_positive.any()
    assert whole.missed.any() or options.clustering != "components"
    windows, parts, rows = cut_windows(FRAMES, 24), [], []
    for window in windows:
        halo = least_halo(options)
        while (found := part_of(table, carried, options, window, halo)) is None:
            halo *= 2
        parts.append(found)
        rows.append(int(np.searchsorted(table.frame, window.start)))
        own = estimate_of(whole, table.frame, window)
        assert_same(
            replace(found, energy=0.0, link_share=0.0), replace(own, energy=0.0, link_share=0.0)
        )
    assert_same(join_estimates(parts, windows, rows), whole)


def test_a_stretch_in_which_far_frames_have_a_say_is_not_judged():
    """Linked so strongly that a whole chain stands or falls together, by what lies at its ends."""
    frames = np.arange(40)
    box = np.float32([10, 10, 30, 30])
    drift = np.float32([0.5, 0.25, 0.5, 0.25])
    table = replace(
        clip(0, objects=1, false=0),
        scanned=np.ones(FRAMES, np.bool_),
        frame=frames,
        boxes=(box + frames[:, None] * drift).astype(np.float32),
        scores=np.full(40, 0.9, np.float32),
        labels=np.zeros(40, np.int64),
        probs=np.tile(np.float32([0.9, 0.05, 0.05]), (40, 1)),
        features=np.zeros((40, 0), np.float16),
    )
    options = CoherenceOptions(weight=1000, window=1)
    carried = propagate(table, Drift(), window=1, size=SIZE)
    window = Window(18, 20)
    assert part_of(table, carried, options, window, 8) is None
    assert part_of(table, carried, options, window, FRAMES) is not None
    weak = replace(options, weight=1)
    assert part_of(table, carried, weak, window, 8) is not None
