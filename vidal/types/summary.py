"""What is kept of every frame, so that a pool can be built without reading a single box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types.arrays import BoolArray, FloatArray, IntArray, ScoreArray, frozen, set_fields


@dataclass(frozen=True, slots=True, eq=False)
class FrameSummary:
    """The evidence of a clip, or of a window of it, summed up frame by frame.

    Every array has one row a frame; all that stands here is a sum over the frame's own boxes, so
    that summaries of the windows of a clip, one behind the other, are the summary of the clip.

    Attributes:
        scanned: (F,) bool, frames that the detector looked at.
        by_class: (F, K) int64, detections above the threshold.
        class_mass: (F, K) float32, their summed class probabilities.
        mass: (F, K) float64, the same of their class distributions without background: what
            objects are reckoned from where a model expects errors.
        objects: (F, K) float32, objects that are expected where none does.
        signals: (F, K, 4) float32, see ``vidal.expected_errors.signals``; the second and fourth are
            the verdicts of temporal coherence, in numbers.
        doubts: (F, K, 3) int64, likely false alarms, unsure detections and likely misses, by the
            estimate that puts frames in order before there are labels.
        prior: (F, K, 2) float32, false alarms and misses that the shipped prior expects, before
            frames lean on their neighbours; (F, 0, 2) where it says nothing.
        judgeable: (F,) bool, frames with something that the prior judged.
    """

    scanned: BoolArray
    by_class: IntArray
    class_mass: FloatArray
    mass: ScoreArray
    objects: FloatArray
    signals: FloatArray
    doubts: IntArray
    prior: FloatArray
    judgeable: BoolArray

    def __post_init__(self) -> None:
        f, k = len(self.scanned), self.by_class.shape[1]
        set_fields(
            self,
            scanned=frozen(self.scanned, np.bool_, (None,), "scanned"),
            by_class=frozen(self.by_class, np.int64, (f, k), "by_class"),
            class_mass=frozen(self.class_mass, np.float32, (f, k), "class_mass"),
            mass=frozen(self.mass, np.float64, (f, k), "mass"),
            objects=frozen(self.objects, np.float32, (f, k), "objects"),
            signals=frozen(self.signals, np.float32, (f, k, 4), "signals"),
            doubts=frozen(self.doubts, np.int64, (f, k, 3), "doubts"),
            prior=frozen(self.prior, np.float32, (f, None, 2), "prior"),
            judgeable=frozen(self.judgeable, np.bool_, (f,), "judgeable"),
        )
        if self.prior.shape[1] not in (0, k):
            raise ValueError(f"prior: {self.prior.shape[1]} classes, not {k}")

    @property
    def frames(self) -> int:
        """F, the length of the clip or the window."""
        return len(self.scanned)

    @staticmethod
    def join(parts: Sequence[FrameSummary]) -> FrameSummary:
        """The windows of a clip, in order, as one.

        Raises:
            ValueError: none, or of different classes.
        """
        if len(parts) == 1:
            return parts[0]
        names = [each.name for each in fields(FrameSummary)]
        columns = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
        return FrameSummary(**columns)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As it is stored: counts in the smallest type that holds them all, nothing else beside."""
        return {each.name: _small(getattr(self, each.name)) for each in fields(FrameSummary)}

    @staticmethod
    def of(arrays: Mapping[str, NDArray[Any]]) -> FrameSummary:
        """What ``arrays`` gave.

        Raises:
            ValueError: something else.
        """
        names = [each.name for each in fields(FrameSummary)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ValueError(f"not a stored FrameSummary: no {', '.join(missing)}")
        return FrameSummary(**{name: arrays[name] for name in names})


def _small(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype != np.int64:
        return values
    most = int(values.max(initial=0))
    return values.astype(np.uint8 if most < 2**8 else np.uint16 if most < 2**16 else np.int64)
