"""Once more, where evidence turned out to be damaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vidal.errors import EvidenceLost

T = TypeVar("T")


def again(work: Callable[[], T]) -> T:
    """What ``work`` returns; called a second time where evidence was damaged or removed meanwhile.

    That an entry is in the store is known before it is read. One that turns out to be damaged is
    removed when it is read, and the second time it is computed anew.

    Raises:
        EvidenceLost: it happened a second time.
    """
    try:
        return work()
    except EvidenceLost:
        return work()
