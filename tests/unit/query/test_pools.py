from dataclasses import replace

import numpy as np

from vidal.query.pools import restrict
from vidal.testing.strategies import a_pool, some_items
from vidal.types import FrameRef


def test_part_of_a_pool_keeps_what_the_last_queries_taught():
    asked = some_items(np.random.default_rng(1))
    pool = replace(a_pool((6,)), asked=asked)
    part = restrict(pool, np.array([1, 4]), labelled=np.array([0]))
    assert part.precisions == (0.25, 0.75)
    assert part.asked is asked
    assert part.items is pool.items
    assert len(part.regions.column("frozen")) == 6


def test_frames_are_found_by_name_and_those_that_are_not_there_are_told_apart():
    frames = restrict(a_pool((5, 4, 0, 3)), np.array([0, 2, 4, 5, 8, 10])).frames
    refs = [frames.ref(pos) for pos in range(len(frames))]
    assert frames.find(refs[::-1]).tolist() == [5, 4, 3, 2, 1, 0]
    others = [
        FrameRef(refs[0].clip, 1),
        FrameRef(refs[0].clip, 10**12),
        FrameRef("of another run", 0),
        FrameRef(frames.clips[2], 0),
    ]
    assert frames.find([others[0], refs[3], *others[1:]]).tolist() == [-1, 3, -1, -1, -1]
    assert frames.find([]).tolist() == []
