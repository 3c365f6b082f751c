"""The order in which pictures are shown, from what their headers say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vidal.types import IntArray


@dataclass(frozen=True, slots=True)
class Picture:
    """What the first slice of a picture says.

    Attributes:
        refresh: decoding starts anew here (an IDR picture).
        drops: pictures that were not shown by then never are.
        reference: later pictures count from it.
        number: count of reference pictures, modulo ``number_span`` (H.264's ``frame_num``); None
            where the codec has none.
        order: place among the pictures shown, modulo ``order_span`` (``pic_order_cnt_lsb``);
            a span of 1: they are shown as they are decoded.
    """

    refresh: bool
    drops: bool
    reference: bool
    number: int | None
    number_span: int
    order: int
    order_span: int


def agrees(pictures: Sequence[Picture], pts: IntArray) -> bool:
    """Whether a decoder that begins with the first picture shows all of them in order of ``pts``.

    Args:
        pictures: in decoding order.
        pts: (P,) their presentation times.

    Returns:
        False also where a picture is missing between them, or is not shown.
    """
    places = _places(pictures)
    shown = np.argsort(pts, kind="stable").tolist()
    in_order = all(places[a] < places[b] for a, b in pairwise(shown))
    return in_order and _none_missing(pictures) and not any(each.drops for each in pictures[1:])


def _places(pictures: Sequence[Picture]) -> list[tuple[int, int]]:
    """(sequence, order within it): H.264, 8.2.1.1 and 8.2.1.3; H.265, 8.3.1."""
    places = []
    sequence, before, high = 0, pictures[0].order, 0  # `before`: low bits of the last reference
    for number, each in enumerate(pictures):
        if each.refresh:
            sequence, before, high = sequence + 1, 0, 0
        if each.order_span == 1:
            places.append((sequence, number))
            continue
        step = each.order - before
        wraps = (step <= -each.order_span // 2) - (step > each.order_span // 2)
        here = high + wraps * each.order_span
        places.append((sequence, here + each.order))
        if each.reference:
            before, high = each.order, here
    return places


def _none_missing(pictures: Sequence[Picture]) -> bool:
    """Whether the count of reference pictures goes on without gaps (H.264, 7.4.3)."""
    last = pictures[0]  # reference picture
    for each in pictures[1:]:
        if each.number is None or last.number is None:
            return True
        expected = 0 if each.refresh else (last.number + 1) % each.number_span
        if each.number != expected:
            return False
        if each.reference:
            last = each
    return True


def reorder_depth(pts: IntArray, most_moved: int) -> int:
    """The most pictures that are decoded before another one and shown after it.

    Args:
        pts: in decoding order.
        most_moved: places that a picture is shown away from where it is stored, at most.
    """
    if (np.diff(pts) > 0).all():
        return 0
    depth = np.zeros(len(pts), np.int64)
    for back in range(1, min(2 * most_moved + 1, len(pts))):
        depth[back:] += pts[:-back] > pts[back:]
    return int(depth.max())
