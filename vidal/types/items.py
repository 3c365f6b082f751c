"""What is labelled already, as strategies see it: one row a detection, or an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vidal.types.arrays import BoolArray, FloatArray, IntArray, frozen, set_fields

BACKGROUND = -1
"""The answer for a detection on a labelled frame where nothing was annotated."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Labelled items: what the model says of them, and what annotators answered.

    Detections of labelled frames that match an annotation (or none), or labelled images.

    Attributes:
        features: (M, D) float32.
        probs: (M, K+1) float32, the model's class distribution; background last, 0 on images.
        answers: (M,) int64: 0..K-1 = that class, K = annotated, outside the K classes,
            ``BACKGROUND`` = nothing is there (never on images).
        columns: more named arrays with one row an item: ``labels`` and ``scores`` of detections,
            ``suppressed`` where a strategy needs it (see ``Regions.columns``).
    """

    features: FloatArray
    probs: FloatArray
    answers: IntArray
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        m = len(self.answers)
        set_fields(
            self,
            features=frozen(self.features, np.float32, (m, None), "features"),
            probs=frozen(self.probs, np.float32, (m, None), "probs"),
            answers=frozen(self.answers, np.int64, (m,), "answers"),
            columns=MappingProxyType(dict(self.columns)),
        )
        for name, values in self.columns.items():
            if len(values) != m:
                raise ValueError(f"{name}: expected {m} rows, got {len(values)}")
        if m and not ((self.answers >= BACKGROUND) & (self.answers <= self.unknown)).all():
            raise ValueError(f"answers: outside {BACKGROUND}..{self.unknown}")

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def unknown(self) -> int:
        """K, the answer for an object outside the K classes."""
        return self.probs.shape[1] - 1

    def objects(self) -> Self:
        """Without background."""
        return self.keep(self.answers != BACKGROUND)

    def known(self) -> Self:
        """Those of the K classes only."""
        return self.keep((self.answers >= 0) & (self.answers < self.unknown))

    def keep(self, rows: BoolArray | IntArray) -> Self:
        """These rows only."""
        more = {name: values[rows] for name, values in self.columns.items()}
        return type(self)(self.features[rows], self.probs[rows], self.answers[rows], more)

    def column(self, name: str) -> NDArray[Any]:
        """A column by name.

        Raises:
            KeyError: nobody made it (a strategy did not state it in ``needs``).
        """
        return self.columns[name]
