"""What a tracker keeps while it works on one clip: targets, and what it has made of frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from vidal.protocols import Propagator
from vidal.types import FloatArray, Frame, IntArray

Made = TypeVar("Made")


class Session(Protocol):
    """A tracker at work on one clip. What it knows of a target comes from ``begin`` alone."""

    def begin(self, frame: Frame, boxes: FloatArray) -> Any:
        """Targets: what is to be looked for, learned from the boxes (N, 4) of a frame.

        The same targets serve both directions of time.
        """
        ...

    def follow(
        self, targets: Any, rows: IntArray, before: Frame, after: Frame, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Boxes (M, 4) of ``before`` -> boxes (M, 4) in ``after``, trust (M,) in [0, 1].

        ``rows`` (M,) says which targets the boxes are. All boxes are finite.
        """
        ...


@runtime_checkable
class Tracker(Propagator, Protocol):
    """A propagator that can also keep targets over more than one pair of frames."""

    @property
    def key(self) -> Mapping[str, Any]:
        """What its output depends on: JSON values, for content keys."""
        ...

    def session(self) -> Session:
        """For one clip, by one thread."""
        ...


@dataclass(frozen=True, slots=True)
class PairSession:
    """The session of a propagator that needs no memory: every pair of frames by itself."""

    propagator: Propagator

    def begin(self, frame: Frame, boxes: FloatArray) -> None:
        """Nothing is learned."""

    def follow(
        self, targets: None, rows: IntArray, before: Frame, after: Frame, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """One step."""
        return self.propagator.step(before, after, boxes)


def one_step(
    session: Session, before: Frame, after: Frame, boxes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """A single step of a fresh session, for ``Propagator.step``.

    Raises:
        ValueError: frames of different sizes or clips.
    """
    check_pair(before, after)
    targets = session.begin(before, boxes)
    return session.follow(targets, np.arange(len(boxes)), before, after, boxes)


def check_pair(before: Frame, after: Frame) -> None:
    """Refuse frames that cannot be neighbours.

    Raises:
        ValueError: frames of different sizes or clips.
    """
    if before.ref.clip != after.ref.clip:
        raise ValueError(f"{before.ref} and {after.ref}: of different clips")
    if before.image.shape != after.image.shape:
        raise ValueError(f"{after.ref}: size {after.image.shape}, expected {before.image.shape}")


class Recent(Generic[Made]):
    """What was made of the last few frames, or pairs of frames."""

    def __init__(self, make: Callable[..., Made], keep: int = 8) -> None:
        self._make = make
        self._kept: deque[tuple[tuple[Frame, ...], Made]] = deque(maxlen=keep)

    def __call__(self, *frames: Frame) -> Made:
        """Of these very frames; made once while they are recent."""
        for known, made in self._kept:
            if all(one is other for one, other in zip(known, frames, strict=True)):
                return made
        made = self._make(*frames)
        self._kept.append((frames, made))
        return made
