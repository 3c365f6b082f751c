"""Neighbour exclusion: no two chosen frames of one clip closer than the gap.

Neighbouring frames show the same errors, so asking for both wastes budget (Zolfaghari Bengar et
al., "Temporal Coherence for Active Learning in Videos", ICCV Workshops 2019): no frame within
``gap`` of a labelled one, on either side, in the same clip. Distances are of true frame indices, or
of presentation times where the gap is in seconds; a gap of 0 excludes nothing.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vidal.types import AnyGap, BoolArray, FrameSet, Gap, IntArray

_FAR = 2**61
"""Beyond all frames and times."""
_AT_ONCE = 1 << 16
"""Frames that are looked at together."""


def neighbourhoods(frames: FrameSet, gap: AnyGap) -> tuple[IntArray, IntArray]:
    """For each frame the half-open range of positions within ``gap`` of it in its clip, (F,) each.

    Raises:
        ValueError: the frames are not sorted by clip and index, or one is there twice.
    """
    ((keys, reach),) = _keys(gap, frames)
    if len(keys) > 1 and not (np.diff(keys) > 0).all():
        raise ValueError("frames: not sorted by clip and index, or a frame twice")
    first = np.searchsorted(keys, keys - reach, side="left")
    last = np.searchsorted(keys, keys + reach, side="right")
    return first.astype(np.int64), last.astype(np.int64)


def away_from_labelled(frames: FrameSet, labelled: FrameSet, gap: AnyGap) -> BoolArray:
    """(F,) bool: frames that are not within ``gap`` of a labelled one of the same clip."""
    (keys, reach), (known, _) = _keys(gap, frames, labelled)
    known = np.sort(known)
    before = np.searchsorted(known, keys - reach, side="left")
    return before == np.searchsorted(known, keys + reach, side="right")


def thin(frames: FrameSet, labelled: FrameSet, order: IntArray, gap: AnyGap) -> IntArray:
    """The positions of ``order`` that remain when each one taken deletes its neighbours.

    Takes them from front to back; frames near labelled ones are never taken. The result is
    maximal: no further position of ``order`` could be added.
    """
    order = order[away_from_labelled(frames, labelled, gap)[order]]
    if not Gap.of(gap):
        return order
    first, last = neighbourhoods(frames, gap)
    return without_neighbours(order, first, last, len(order))


def without_neighbours(order: IntArray, first: IntArray, last: IntArray, most: int) -> IntArray:
    """The first ``most`` positions of an order that none before them takes away.

    Args:
        order: (n,) positions, none twice.
        first, last: (F,) half-open ranges of positions that a pick of each position takes away.
        most: how many at most.
    """
    blocked = bytearray(len(first))
    free = np.frombuffer(blocked, np.uint8)
    taken = np.empty(min(most, len(order)), np.int64)
    count = 0
    # A loop over bytes: each step depends on the one before. About 0.1 s for a million frames.
    for at in range(0, len(order), _AT_ONCE):
        part = order[at : at + _AT_ONCE]
        part = part[free[part] == 0]  # most are taken away by the time their turn comes
        ends = zip(part.tolist(), first[part].tolist(), last[part].tolist(), strict=True)
        for pos, low, high in ends:
            if not blocked[pos]:
                if count == len(taken):
                    return taken
                taken[count] = pos
                count += 1
                blocked[low:high] = b"\x01" * (high - low)
    return taken[:count]


def _keys(gap: AnyGap, *sets: FrameSet) -> list[tuple[IntArray, IntArray]]:
    """Of each set its frames as single integers, and how far each one excludes others, (F,) each.

    The clips lie one behind the other, further apart than the gap reaches.

    Raises:
        ValueError: the gap is in seconds, and the times of frames are not known.
    """
    gap, count = Gap.of(gap), len(sets[0].clips)
    if gap.unit == "frames" or not gap:
        places = [frames.index for frames in sets]
        reach = np.full(count, min(gap.reach(Fraction(1)), _FAR), np.int64)
    else:
        bases = next((frames.time_bases for frames in sets if frames.pts is not None), ())
        if any(len(frames) and frames.pts is None for frames in sets):
            raise ValueError("frames without times, and a gap in seconds")
        places = [frames.index if frames.pts is None else frames.pts for frames in sets]
        limits = [min(gap.reach(tick), _FAR) for tick in bases] if bases else [0] * count
        reach = np.array(limits, np.int64)
    low, high = np.full(count, _FAR), np.full(count, -_FAR)
    for frames, place in zip(sets, places, strict=True):
        np.minimum.at(low, frames.clip, place)
        np.maximum.at(high, frames.clip, place)
    span = np.maximum(high - low, 0)
    reach = np.minimum(reach, span + 1)
    width = span + 2 * reach + 1
    start = np.cumsum(width) - width + reach - low
    return [
        (place + start[frames.clip], reach[frames.clip])
        for frames, place in zip(sets, places, strict=True)
    ]
