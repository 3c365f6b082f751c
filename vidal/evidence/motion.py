"""How boxes move in a clip: by its optical flow, by a tracker, or by its detections alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vidal.coherence import CoherenceOptions
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.protocols import Store
from vidal.store import content_key
from vidal.track import PixelMotion, Tracker, record_motion
from vidal.track.pixel_motion import VERSION
from vidal.types import Clip, Detections
from vidal.video import read_frames

MotionSource = Tracker | Literal["flow", "kalman"]
"""``flow``: of the frames, or ``kalman`` where a clip has none; else a tracker that is run on the
frames once detections are known."""

KALMAN = {"tracker": "kalman", "version": 1}
"""Key of motion without pixels."""


SHOWN = 3
"""Frames each way that boxes are carried at least: reports show so many neighbours of a frame."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which detections are carried, and how far.

    Attributes:
        score: those that score higher (strictly).
        window: frames each way.
    """

    score: float
    window: int

    @property
    def key(self) -> Mapping[str, Any]:
        """For content keys."""
        return {"score": self.score, "window": self.window}


def reach_of(coherence: CoherenceOptions, expected: ExpectedErrorsOptions | None) -> Reach:
    """What the estimate, the evidence of expected errors and reports ask for, in one."""
    score, window = coherence.score_threshold, max(coherence.window, SHOWN)
    if expected is not None:
        carried = max(expected.least_score, min(expected.carry, expected.threshold))
        score, window = min(score, carried), max(window, expected.window)
    return Reach(score, window)


def tracks_key(
    detections: str,
    tracker: Tracker,
    coherence: CoherenceOptions,
    expected: ExpectedErrorsOptions | None,
) -> str:
    """The content key of a tracker's steps in a clip whose detections have that key."""
    options = {"tracker": dict(tracker.key), **reach_of(coherence, expected).key}
    return content_key("tracks", VERSION, [detections], options)


def tracked_motion(
    clip: Clip,
    detections: Detections,
    tracker: Tracker,
    coherence: CoherenceOptions,
    expected: ExpectedErrorsOptions | None,
    *,
    store: Store,
    key: str,
    report: Any,
) -> PixelMotion:
    """The steps of a tracker: from the store, else by a pass over the frames, and put there."""
    arrays = store.get(key)
    if arrays is not None:
        return PixelMotion.from_arrays(arrays)
    reach = reach_of(coherence, expected)
    motion = record_motion(
        detections.keep(np.flatnonzero(detections.scores > reach.score)),
        read_frames(clip),
        tracker,
        window=reach.window,
        size=clip.size,
        report=report,
    )
    store.put(key, motion.arrays())
    return motion
