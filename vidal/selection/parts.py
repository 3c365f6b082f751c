"""One clip's tables, as a pool takes them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types import Annotations, BoolArray, Clip, Detections, ErrorEstimate


@dataclass(frozen=True, slots=True, eq=False)
class PoolClip:
    """One clip's contribution to the pool.

    Attributes:
        clip: the clip.
        selectable: (F,) bool, decoded and not labelled.
        labelled: (F,) bool.
        detections: its table, or None where no detector ran.
        estimate: verdicts (``rows`` of ``detections``), or None.
        expected: (F, K, 2) float32, false positives and misses that a model learned to expect; None
            where no model may put frames in order by itself: then ``told``, if it is there, is
            fused with the fixed signals. Either all clips of a pool have it, or none.
        told: the same, right in sum, for people to read; None = ``expected``.
        prior: the largest weight, in [0, 1], of the shipped prior in what is expected.
        annotations: what was annotated on its labelled frames, or None.
        row_columns: more arrays with one row a detection, see ``Regions.columns``.
    """

    clip: Clip
    selectable: BoolArray
    labelled: BoolArray
    detections: Detections | None
    estimate: ErrorEstimate | None
    expected: NDArray[np.float32] | None = None
    told: NDArray[np.float32] | None = None
    prior: float = 0.0
    annotations: Annotations | None = None
    row_columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
