"""A tracker of another package: its author writes ``step``, the rest is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vidal.errors import PluginError
from vidal.protocols import Propagator
from vidal.track.session import PairSession, Session, Tracker, check_pair
from vidal.types import FloatArray, Frame


@dataclass(frozen=True, slots=True)
class ForeignTracker:
    """What vidal adds to a propagator that was registered by another package.

    Attributes:
        name: as users write it.
        package: the distribution it comes with.
        version: of that distribution: tracks of another version are computed again.
        propagator: a frozen dataclass with its options as fields.
    """

    name: str
    package: str
    version: str
    propagator: Propagator

    @property
    def key(self) -> Mapping[str, Any]:
        """What carried boxes depend on: its own ``key`` where it has one, else its options."""
        own = getattr(self.propagator, "key", None)
        options = dict(own) if own is not None else asdict(self.propagator)  # type: ignore[call-overload]
        made = {"tracker": self.name, "package": self.package, "version": self.version}
        return {**made, "options": options}

    def session(self) -> Session:
        """Its own session where it keeps targets, else every pair of frames by itself."""
        if isinstance(self.propagator, Tracker):
            return self.propagator.session()
        return PairSession(self)

    def step(self, before: Frame, after: Frame, boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """One step, with its shapes and ranges checked: boxes (N, 4), trust (N,) in [0, 1].

        Raises:
            ValueError: frames of different sizes or clips.
            PluginError: the propagator returned something else.
        """
        check_pair(before, after)
        moved, trust = self.propagator.step(before, after, boxes)
        moved, trust = np.asarray(moved, np.float32), np.asarray(trust, np.float32)
        if moved.shape != boxes.shape or trust.shape != (len(boxes),):
            shapes = f"boxes {moved.shape} and trust {trust.shape} for {len(boxes)} boxes"
            raise PluginError("tracker", self.name, self.package, f"step() gave {shapes}")
        if not (np.isfinite(moved).all() and (trust >= 0).all() and (trust <= 1).all()):
            why = "step() gave boxes that are not finite, or trust outside [0, 1]"
            raise PluginError("tracker", self.name, self.package, why)
        return moved, trust
