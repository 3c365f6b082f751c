"""From the boxes of a clip, or of a window of it, to sums by frame: all that a pool without learned
labels reads (``vidal.types.FrameSummary``)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.evidence.objects import expected_objects, object_mass
from vidal.evidence.verdicts import by_chances, by_cut, count_detections, count_verdicts
from vidal.expected_errors import (
    Evidence,
    ExpectedErrorsOptions,
    frame_sums,
    prior_for,
    signals,
)
from vidal.expected_errors.prior import PRIOR
from vidal.types import BoolArray, Detections, ErrorEstimate, FloatArray, FrameSummary
from vidal.types.verdicts import Verdicts

VERSION = 1
"""Raise it when the same boxes would give another summary."""


@dataclass(frozen=True, slots=True)
class SummaryOptions:
    """How boxes are summed up.

    Attributes:
        threshold: detections with a higher score count (strict): that of the query.
        floor: lowest score of weak detections.
        expected: of the estimate of errors, for the shipped prior; None = no prior is asked.
    """

    threshold: float
    floor: float = 0.05
    expected: ExpectedErrorsOptions | None = None

    @property
    def key(self) -> Mapping[str, Any]:
        """What a summary depends on beside the evidence, as JSON values."""
        prior = self.expected is not None and self.expected.prior > 0
        return {
            "threshold": self.threshold,
            "floor": self.floor,
            "prior": _prior_digest() if prior else None,
        }


@cache
def _prior_digest() -> str:
    """Of the prior that comes with the package: another one expects something else."""
    return hashlib.blake2b(PRIOR.read_bytes(), digest_size=16).hexdigest()


def summarise(
    detections: Detections,
    estimate: ErrorEstimate | None,
    evidence: Evidence | None,
    options: SummaryOptions,
) -> FrameSummary:
    """Sum up a clip or a window of it; of equal boxes, equal sums, to the bit.

    Args:
        detections: the table; features and embedding are not read.
        estimate: verdicts, ``rows`` of ``detections``; None = not wanted.
        evidence: rows for expected errors; None = not wanted.
        options: how.
    """
    shape = (detections.frames, len(detections.classes))
    prior, judgeable, said = _expected(evidence, estimate, shape, options)
    none = np.zeros((*shape, 3), np.int64)
    return FrameSummary(
        **{name: summed(name, detections, estimate, options) for name in _SUMMED},
        doubts=none if said is None else count_verdicts(said, detections),
        prior=prior,
        judgeable=judgeable,
    )


def summed(
    name: str, detections: Detections, estimate: ErrorEstimate | None, options: SummaryOptions
) -> NDArray[Any]:
    """One field of a ``FrameSummary`` that needs no rows of evidence.

    Raises:
        KeyError: another field.
    """
    shape = (detections.frames, len(detections.classes))
    threshold = options.threshold
    match name:
        case "scanned":
            return detections.scanned
        case "by_class":
            return count_detections(detections, threshold)
        case "class_mass":
            return _class_mass(detections, threshold)
        case "mass":
            return object_mass(detections, threshold)
        case "objects":
            return expected_objects(
                detections, shape, threshold=threshold, told=None, estimate=estimate
            )
        case "signals":
            return signals(detections, estimate, threshold=threshold, floor=options.floor)
    raise KeyError(name)


_SUMMED = ("scanned", "by_class", "class_mass", "mass", "objects", "signals")


def _class_mass(detections: Detections, threshold: float) -> FloatArray:
    mass = np.zeros((detections.frames, len(detections.classes)), np.float32)
    rows = np.flatnonzero(detections.scores > threshold)
    np.add.at(mass, detections.frame[rows], detections.probs[rows, :-1])
    return mass


def _expected(
    evidence: Evidence | None,
    estimate: ErrorEstimate | None,
    shape: tuple[int, int],
    options: SummaryOptions,
) -> tuple[FloatArray, BoolArray, Verdicts | None]:
    """(F, K, 2) what the prior expects, (F,) where it judged something, and what is said of boxes:
    by the prior where it says anything, else by the cut."""
    judgeable = np.zeros(shape[0], np.bool_)
    trees = None
    if evidence is not None and options.expected is not None:
        trees = prior_for(evidence.columns, options.expected)
    if evidence is None or trees is None:
        said = None if estimate is None else by_cut(estimate)
        return np.zeros((shape[0], 0, 2), np.float32), judgeable, said
    kinds = (evidence.detections, evidence.candidates)
    chances = [tree.probability(rows.evidence) for tree, rows in zip(trees, kinds, strict=True)]
    sums = [frame_sums(rows, each, *shape) for rows, each in zip(kinds, chances, strict=True)]
    for rows in kinds:
        judgeable[rows.frame] = True
    return np.stack(sums, axis=2), judgeable, by_chances(evidence, *chances, learned=False)
