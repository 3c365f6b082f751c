"""Which wide columns of detections are wanted: others are neither computed nor copied."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from vidal.protocols import Detector
from vidal.types import Detections, Frame, Sample

WIDE = frozenset({"features", "embedding"})
"""The ROI feature of every box (half precision), and the embedding of every frame."""


def giving(detector: Detector, columns: Collection[str]) -> Detector:
    """A detector whose tables have these of the wide columns; others have width 0.

    Detectors of vidal's do not compute what is not wanted; of another package's tables it is left
    out. All other columns are the same to the bit.

    Raises:
        ValueError: not a wide column.
    """
    wanted = frozenset(columns)
    if wanted - WIDE:
        raise ValueError(f"columns: {sorted(wanted - WIDE)} is none of {sorted(WIDE)}")
    if wanted == WIDE:
        return detector
    own = getattr(detector, "giving", None)
    return own(wanted) if own is not None else Narrowed(detector, wanted)


def tables(detector: Detector, groups: Iterable[Sequence[Frame]]) -> Iterator[Detections]:
    """What a detector gives of each group of frames, in order.

    Detectors that can take more groups than they have given tables of do so: a GPU looks at some
    frames while others are copied. At most a few groups are held.
    """
    own = getattr(detector, "stream", None)
    return map(detector.detect, groups) if own is None else own(groups)


def narrowed(table: Detections, columns: Collection[str]) -> Detections:
    """A table without the wide columns that are not among ``columns``."""
    if "features" not in columns:
        table = replace(table, features=np.zeros((len(table), 0), np.float16))
    if "embedding" not in columns:
        table = replace(table, embedding=np.zeros((table.frames, 0), np.float32))
    return table


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A detector of another package, of whose tables some wide columns are left out."""

    detector: Detector
    columns: frozenset[str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names, in the order of the probability columns."""
        return tuple(self.detector.classes)

    @property
    def key(self) -> Mapping[str, Any]:
        """What its output depends on."""
        return self.detector.key

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """Detections of a batch, without the columns that are left out."""
        return narrowed(self.detector.detect(frames), self.columns)

    def fit(
        self,
        samples: Sequence[Sample],
        rng: Generator,
        progress: Callable[[Mapping[str, float]], None] | None = None,
    ) -> Detector:
        """As the detector itself."""
        return self.detector.fit(samples, rng, progress)
