"""Judged evidence: what the estimators learn from. Kept as plain arrays, round after round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from vidal.types import BoolArray, FloatArray, IntArray, frozen


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Rows of evidence with the verdict of annotators, of one kind (detections or candidates).

    Attributes:
        evidence: (R, C) float32, may hold NaN.
        error: (R,) bool: the detection is false, the candidate is a missed object.
        clip: (R,) int64, number of the clip: rows of one clip are not independent.
        frame: (R,) int64.
        random: (R,) bool: the frame was drawn at random, not chosen by a strategy.
    """

    evidence: FloatArray
    error: BoolArray
    clip: IntArray
    frame: IntArray
    random: BoolArray

    def __post_init__(self) -> None:
        n = len(self.error)
        if self.evidence.ndim != 2 or len(self.evidence) != n:
            raise ValueError(f"evidence: expected {n} rows, got {self.evidence.shape}")
        for name, dtype in (("error", np.bool_), ("random", np.bool_)):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype, (n,), name))
        for name in ("clip", "frame"):
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


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Judged rows of both kinds: one clip's, or many clips' after ``join``.

    Attributes:
        columns: names of the evidence columns.
        detections: rows that may be false positives.
        candidates: rows that may be missed objects.
        missed: missed objects on the judged frames, whether a candidate lies there or not.
    """

    columns: tuple[str, ...]
    detections: Examples
    candidates: Examples
    missed: int

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
        )
