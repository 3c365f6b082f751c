"""The propagators: how boxes are carried from a frame to its neighbour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidal.track.flow import FlowPropagator
from vidal.track.raft import RaftPropagator
from vidal.track.session import PairSession
from vidal.track.siamfc import SiamFCPropagator
from vidal.track.sparse_flow import SparseFlowPropagator
from vidal.track.template import TemplatePropagator
from vidal.types import FloatArray, Frame

__all__ = [
    "FlowPropagator",
    "RaftPropagator",
    "SiamFCPropagator",
    "SparseFlowPropagator",
    "StillPropagator",
    "TemplatePropagator",
]


@dataclass(frozen=True, slots=True)
class StillPropagator:
    """Leaves boxes where they are: the baseline that motion has to beat."""

    @property
    def key(self) -> Mapping[str, Any]:
        """What carried boxes depend on."""
        return {"tracker": "still", "version": 1}

    def session(self) -> PairSession:
        """For one clip."""
        return PairSession(self)

    def step(self, before: Frame, after: Frame, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The same boxes (N, 4), with full trust (N,)."""
        return boxes.astype(np.float32), np.ones(len(boxes), dtype=np.float32)
