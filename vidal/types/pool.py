"""The frames of a round: what may be asked, and what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vidal.types.arrays import FloatArray, HalfArray, IntArray, ScoreArray, frozen, set_fields
from vidal.types.frames import FrameRef
from vidal.types.items import Items


def _check_lengths(columns: Mapping[str, NDArray[Any]], rows: int) -> None:
    for name, values in columns.items():
        if len(values) != rows:
            raise ValueError(f"{name}: expected {rows} rows, got {len(values)}")


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The detections of all frames of a pool in a row.

    Attributes:
        pos: (N,) int64, sorted: the frame's position in the pool.
        boxes, scores, labels, probs, features: as in ``Detections``.
        columns: named arrays with one row a detection, made by what trains or looks again:
            ``passes`` (N, T, K+1) class distributions of stochastic passes, ``members``
            (N, T, K+1) those of an ensemble, ``votes`` (N, E) predicted label after each epoch
            (K = background), ``predicted_loss`` (N,), ``labelledness`` (N,) in [0, 1],
            ``suppressed`` (N,) boxes that the kept one stands for, ``false_alarm`` (N,) P(false
            alarm) where one was learned, ``verdict`` (N,) 1 = called false by temporal coherence.
    """

    pos: IntArray
    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    probs: FloatArray
    features: HalfArray
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.pos)
        _check_lengths(self.columns, n)
        set_fields(
            self,
            pos=frozen(self.pos, np.int64, (None,), "pos"),
            boxes=frozen(self.boxes, np.float32, (n, 4), "boxes"),
            scores=frozen(self.scores, np.float32, (n,), "scores"),
            labels=frozen(self.labels, np.int64, (n,), "labels"),
            probs=frozen(self.probs, np.float32, (n, None), "probs"),
            features=frozen(self.features, np.float16, (n, None), "features"),
            columns=MappingProxyType(dict(self.columns)),
        )

    def __len__(self) -> int:
        return len(self.pos)

    def column(self, name: str) -> NDArray[Any]:
        """A column by name.

        Raises:
            KeyError: nobody made it (a strategy did not state it in ``needs``).
        """
        return self.columns[name]


@dataclass(frozen=True, slots=True, eq=False)
class FrameSet:
    """Frames of several clips as two integers each, and their times.

    Attributes:
        clips: ids of the clips.
        clip: (F,) int64, position of the frame's clip in ``clips``.
        index: (F,) int64, the frame's index in its clip.
        pts: (F,) int64, presentation times, in ticks of the clip's time base, rising with the
            index; None = not known: then no gap can be in seconds.
        time_bases: seconds a tick, one a clip; empty where ``pts`` is None.
        sizes: (height, width) of the pictures, one a clip; empty where not known.
    """

    clips: tuple[str, ...]
    clip: IntArray
    index: IntArray
    pts: IntArray | None = None
    time_bases: tuple[Fraction, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        n = len(self.clip)
        set_fields(
            self,
            clips=tuple(self.clips),
            clip=frozen(self.clip, np.int64, (None,), "clip"),
            index=frozen(self.index, np.int64, (n,), "index"),
        )
        if n and not ((self.clip >= 0) & (self.clip < len(self.clips))).all():
            raise ValueError(f"clip: outside 0..{len(self.clips) - 1}")
        if self.pts is not None:
            set_fields(
                self,
                pts=frozen(self.pts, np.int64, (n,), "pts"),
                time_bases=tuple(self.time_bases),
            )
            if len(self.time_bases) != len(self.clips):
                raise ValueError(f"time_bases: expected {len(self.clips)}")

    def take(self, positions: IntArray) -> FrameSet:
        """The frames at these positions, in that order."""
        pts = None if self.pts is None else self.pts[positions]
        return replace(self, clip=self.clip[positions], index=self.index[positions], pts=pts)

    def with_more(self, other: FrameSet) -> FrameSet:
        """These frames and, behind them, those of another set of the same clips.

        Raises:
            ValueError: other clips.
        """
        if other.clips != self.clips:
            raise ValueError("frames of other clips")
        clip, index = (
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("clip", "index")
        )
        timed = [each for each in (self, other) if len(each) or each.pts is not None]
        if not timed or any(each.pts is None for each in timed):
            return FrameSet(self.clips, clip, index, sizes=self.sizes)
        pts = np.concatenate([each.pts for each in timed if each.pts is not None])
        return FrameSet(self.clips, clip, index, pts, timed[0].time_bases, self.sizes)

    def __len__(self) -> int:
        return len(self.clip)

    def ref(self, pos: int) -> FrameRef:
        """The frame at a position."""
        return FrameRef(self.clips[int(self.clip[pos])], int(self.index[pos]))

    def find(self, refs: Sequence[FrameRef]) -> IntArray:
        """(n,) position of each frame, -1 where it is not there; of sorted frames."""
        numbers = {name: number for number, name in enumerate(self.clips)}
        clip = np.array([numbers.get(ref.clip, -1) for ref in refs], np.int64)
        index = np.array([ref.index for ref in refs], np.int64)
        width = int(max(self.index.max(initial=0), index.max(initial=0))) + 1
        keys, sought = self.clip * width + self.index, clip * width + index
        place = np.searchsorted(keys, sought)
        there = (clip >= 0) & (place < len(keys))
        there[there] = keys[place[there]] == sought[there]
        return np.where(there, place, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The frames that may still be queried, with their evidence.

    Attributes:
        frames: the F frames, sorted by clip, then index; no frame twice.
        classes: the K class names.
        columns: named arrays of length F. ``errors`` (F, K, 2) float32: estimated false positives
            and false negatives per class; ``embedding`` (F, E) float32; ``class_mass`` (F, K)
            float32: summed class probabilities of the detections; ``expected_objects`` (F, K)
            float32: the objects that annotators are expected to find; ``detections`` (F,) int64:
            how many there are. One that is too large to be held is a ``Deferred``.
        regions: the detections above the threshold, where a strategy needs them.
        labelled: frames that are labelled already (same ``clips``); no frame of the pool.
        items: what the detector says of labelled frames, and what was annotated there; None where
            no strategy needs it.
        labelled_columns: named arrays with one row a labelled frame: ``embedding`` as in
            ``columns``; ``objects`` (L, K) int64, annotated objects of each class.
        asked: what the last answered query asked for, as the model of then saw it, with the
            answers and the columns that the strategy wanted kept (``Remembering``); None where no
            strategy needs it, or nothing was asked so far.
        precisions: share of known objects in what each answered query asked for, oldest first;
            NaN where nothing was found there. Empty where no strategy needs it.
        layer: (D, K) weights and (K,) offsets of the model's last layer, which reads the features;
            None where no strategy needs it.
    """

    frames: FrameSet
    classes: tuple[str, ...]
    labelled: FrameSet
    columns: Mapping[str, Any] = field(default_factory=dict)
    regions: Regions | None = None
    items: Items | None = None
    labelled_columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    asked: Items | None = None
    precisions: tuple[float, ...] = ()
    layer: tuple[FloatArray, FloatArray] | None = None

    def __post_init__(self) -> None:
        if self.labelled.clips != self.frames.clips:
            raise ValueError("labelled: other clips than the pool's")
        _check_lengths(self.columns, len(self.frames))
        _check_lengths(self.labelled_columns, len(self.labelled))
        set_fields(
            self,
            classes=tuple(self.classes),
            columns=MappingProxyType(dict(self.columns)),
            labelled_columns=MappingProxyType(dict(self.labelled_columns)),
        )

    def __len__(self) -> int:
        return len(self.frames)

    def column(self, name: str) -> NDArray[Any]:
        """A column by name; one that is too large to be held (``Deferred``) is read as a whole.

        Raises:
            KeyError: the pool was built without it (a strategy did not state it in ``needs``).
        """
        return np.asarray(self.columns[name])

    def with_columns(self, **columns: Any) -> Self:
        """The same pool with more columns."""
        return replace(self, columns={**self.columns, **columns})


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why frames were chosen.

    Attributes:
        words: one sentence for each frame.
        parts: named parts of the score, (n,) each.
        rough: parts that are right in order at best, not in size: in tables, but not shown beside
            the words.
    """

    words: tuple[str, ...]
    parts: Mapping[str, NDArray[Any]]
    rough: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The ordered frames of one round.

    Attributes:
        round: number of the round, from 0.
        frames: unique; at most ``budget`` of them; the most wanted first.
        scores: (n,) float64; NaN where the strategy does not score.
        explanation: a reason and the parts of the score, for each frame.
        budget: how many frames were asked for.
    """

    round: int
    frames: tuple[FrameRef, ...]
    scores: ScoreArray
    explanation: Explanation
    budget: int

    def __post_init__(self) -> None:
        n = len(self.frames)
        if len(set(self.frames)) != n:
            raise ValueError("frames: a frame twice")
        if n > self.budget:
            raise ValueError(f"frames: {n}, more than the budget of {self.budget}")
        if len(self.scores) != n or len(self.explanation.words) != n:
            raise ValueError(f"scores and reasons: expected {n}")

    def __len__(self) -> int:
        return len(self.frames)
