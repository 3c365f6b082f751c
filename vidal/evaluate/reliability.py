"""How far probabilities of errors can be trusted, judged by the errors that were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidal.types import BoolArray, ScoreArray

BINS = 10
"""Bins of a reliability curve; empty ones are left out."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of similar probability.

    Attributes:
        said: their mean probability, in [0, 1].
        found: the share of them that were errors, in [0, 1].
        rows: how many they are.
    """

    said: float
    found: float
    rows: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """Probabilities of one kind of error against verdicts.

    Attributes:
        said: errors that were expected: the sum of the probabilities.
        found: errors that there were; more than the rows can show where an object was missed that
            no row stands for.
        rows: how many were judged.
        brier: mean squared difference of probability and verdict (Brier, "Verification of forecasts
            expressed in terms of probability", 1950); NaN without rows.
        base: the Brier score of saying the share of errors every time; NaN without rows.
        bins: the reliability curve, by rising probability.
    """

    said: float
    found: int
    rows: int
    brier: float
    base: float
    bins: tuple[Bin, ...]


def reliability(probability: ScoreArray, error: BoolArray, *, found: int) -> Reliability:
    """Compare probabilities (R,) in [0, 1] with verdicts (R,).

    Args:
        probability: that a row is an error.
        error: whether it was one.
        found: errors that there were, with and without a row.

    Raises:
        ValueError: other numbers of probabilities and verdicts, or a probability outside [0, 1].
    """
    if len(probability) != len(error):
        raise ValueError(f"{len(probability)} probabilities and {len(error)} verdicts")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("a probability outside [0, 1]")
    rows = len(error)
    share = float(error.mean()) if rows else float("nan")
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    said = np.bincount(place, probability, minlength=BINS)
    hits = np.bincount(place, error, minlength=BINS)
    bins = tuple(
        Bin(float(said[k] / counts[k]), float(hits[k] / counts[k]), int(counts[k]))
        for k in np.flatnonzero(counts)
    )
    return Reliability(
        said=float(probability.sum()),
        found=found,
        rows=rows,
        brier=float(((probability - error) ** 2).mean()) if rows else float("nan"),
        base=share * (1 - share),
        bins=bins,
    )
