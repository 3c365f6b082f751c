"""Once more, where evidence turned out to be damaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vidal.errors import EvidenceLost

T = TypeVar("T")

_STAGES = 6
"""Of evidence that a run reads: sums, looks, boxes, verdicts, rows, carried boxes."""


def again(work: Callable[[], T]) -> T:
    """What ``work`` returns; called again where evidence was damaged or removed meanwhile.

    That an entry is in the store is known before it is read. One that turns out to be damaged is
    removed when it is read, and computed anew the next time. Each stage of evidence is read at
    another point of a run, so that there may be as many times as stages.

    Raises:
        EvidenceLost: it happened more often.
    """
    for _ in range(_STAGES):
        try:
            return work()
        except EvidenceLost:
            continue
    return work()
