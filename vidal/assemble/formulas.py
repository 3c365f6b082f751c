"""Formulas of strategies that come from the room of open-set methods.

What scores an item (``vidal.openset``) and what makes frames of items (``vidal.query``) meet here.
"""

from __future__ import annotations

from collections.abc import Mapping

from vidal.openset.purity import (
    distance_or_energy,
    distance_words,
    energy,
    rectified,
    rectified_words,
)
from vidal.query.region_scores import Formula

OPEN_SET: Mapping[str, Formula] = {
    "energy": Formula(
        energy,
        "energy",
        "How strongly the last layer speaks for any of the classes (purity: what it knows).",
        aggregate="top",
        reads=("logits",),
        signed=True,
        peak="surest",
    ),
    "mahalanobis": Formula(
        distance_or_energy,
        distance_words,
        "How near a detection lies to labelled ones of the classes (purity); first rounds: energy.",
        aggregate="top",
        reads=("features", "items", "logits"),
        signed=True,
        peak="nearest",
    ),
    "react": Formula(
        rectified,
        rectified_words,
        "Energy, with activations cut off above those of labelled objects of the classes (purity).",
        aggregate="top",
        reads=("features", "items", "layer"),
        signed=True,
        peak="surest",
    ),
}
