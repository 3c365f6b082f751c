"""Judged evidence: what the estimators learn from. Kept as plain arrays, round after round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from vidal.types import BoolArray, FloatArray, IntArray, ScoreArray, frozen


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Rows of evidence with the verdict of annotators, of one kind (detections or candidates).

    Attributes:
        evidence: (R, C) float32, may hold NaN.
        error: (R,) bool: the detection is false, the candidate is a missed object.
        clip: (R,) int64, number of the clip: rows of one clip are not independent.
        frame: (R,) int64.
        random: (R,) bool: the frame was drawn at random, not chosen by a strategy.
        labels: (R,) int64, the detector's class; left out = all of one class.
        weight: (R,) float64 in [0, 1], how much the row counts in a fit; left out = 1.
    """

    evidence: FloatArray
    error: BoolArray
    clip: IntArray
    frame: IntArray
    random: BoolArray
    labels: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    weight: ScoreArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n = len(self.error)
        if self.evidence.ndim != 2 or len(self.evidence) != n:
            raise ValueError(f"evidence: expected {n} rows, got {self.evidence.shape}")
        for name, dtype in (("error", np.bool_), ("random", np.bool_)):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype, (n,), name))
        if n and not len(self.labels):
            object.__setattr__(self, "labels", np.zeros(n, np.int64))
        object.__setattr__(self, "weight", _weights(self.weight, n))
        for name in ("clip", "frame", "labels"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int64, (n,), name))

    def __len__(self) -> int:
        return len(self.error)

    def keep(self, rows: BoolArray | IntArray) -> Self:
        """These rows only."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Examples]) -> Examples:
        """All rows of several tables with the same columns; at least one table.

        Raises:
            ValueError: other numbers of columns.
        """
        return Examples(
            *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls))
        )


def _weights(given: ScoreArray, count: int) -> ScoreArray:
    """(N,) weights; ones where none are given."""
    weight = np.asarray(given if len(given) or not count else np.ones(count), np.float64)
    if weight.shape != (count,) or not ((weight >= 0) & (weight <= 1)).all():
        raise ValueError(f"weight: expected {count} numbers between 0 and 1")
    return weight


@dataclass(frozen=True, slots=True, eq=False)
class Misses:
    """Missed objects of judged frames, with those that no row of evidence stands for.

    Attributes:
        clip: (N,) int64, number of the clip.
        frame: (N,) int64, every judged frame once, with or without a missed object.
        missed: (N, K) int64, missed objects by class.
        covered: (N, K) int64, those of them that a candidate stands for.
        weight: (N,) float64 in [0, 1], how much the frame counts; left out = 1.
    """

    clip: IntArray
    frame: IntArray
    missed: IntArray
    covered: IntArray
    weight: ScoreArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n, k = self.missed.shape
        for name, shape in (("clip", (n,)), ("frame", (n,)), ("missed", (n, k))):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int64, shape, name))
        object.__setattr__(self, "covered", frozen(self.covered, np.int64, (n, k), "covered"))
        object.__setattr__(self, "weight", _weights(self.weight, n))

    def __len__(self) -> int:
        return len(self.clip)

    @classmethod
    def none(cls) -> Self:
        """Of no frame."""
        empty = np.zeros(0, np.int64)
        return cls(empty, empty, np.zeros((0, 1), np.int64), np.zeros((0, 1), np.int64))

    @classmethod
    def join(cls, parts: Sequence[Misses]) -> Misses:
        """All frames of several; parts without frames may be of any number of classes."""
        some = [part for part in parts if len(part)] or [cls.none()]
        return Misses(
            *(np.concatenate([getattr(part, f.name) for part in some]) for f in fields(cls))
        )

    def keep(self, frames: BoolArray | IntArray) -> Self:
        """These frames only."""
        return type(self)(*(getattr(self, f.name)[frames] for f in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Judged rows of both kinds: one clip's, or many clips' after ``join``.

    Attributes:
        columns: names of the evidence columns.
        detections: rows that may be false positives.
        candidates: rows that may be missed objects.
        missed: missed objects on the judged frames, whether a candidate lies there or not.
        misses: the same by frame and class; of no frame where that is not known.
    """

    columns: tuple[str, ...]
    detections: Examples
    candidates: Examples
    missed: int
    misses: Misses = field(default_factory=Misses.none)

    @classmethod
    def join(cls, parts: Sequence[Judged]) -> Judged:
        """All rows of several clips or rounds, as they are numbered.

        Raises:
            ValueError: no part, or parts with other columns.
        """
        if not parts or any(part.columns != parts[0].columns for part in parts):
            raise ValueError("judged evidence: none, or with other columns")
        return cls(
            parts[0].columns,
            Examples.join([part.detections for part in parts]),
            Examples.join([part.candidates for part in parts]),
            sum(part.missed for part in parts),
            Misses.join([part.misses for part in parts]),
        )
