"""How boxes move in a clip: by its optical flow, by a tracker, or by its detections alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.coherence import CoherenceOptions
from vidal.evidence.windows import Window
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.protocols import Motion
from vidal.track import PixelMotion, Tracker, propagate, record_motion
from vidal.track.pixel_motion import step_names
from vidal.types import Carried, Clip, Detections, FloatArray, Frame, FrameRef, IntArray
from vidal.video.stretch import read_stretch

MotionSource = Tracker | Literal["flow", "kalman"]
"""``flow``: of the frames, or ``kalman`` where a clip has none; else a tracker that is run on the
frames once detections are known."""

KALMAN = {"tracker": "kalman", "version": 1}
"""Key of motion without pixels."""


KALMAN_HALO = 16
"""Frames around a window whose detections shape its motion where there is no flow: matches and
velocities look at most seven frames away, courses three more."""
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


def tracked_motion(
    clip: Clip, detections: Detections, tracker: Tracker, reach: Reach, window: Window, report: Any
) -> PixelMotion:
    """The steps of a tracker with the detections of a stretch, by a pass over its frames.

    Args:
        clip: the clip.
        detections: of the stretch.
        tracker: is run on the frames.
        reach: which detections are carried, and how far.
        window: the frames of the stretch.
        report: called with (frames done, frames in all).
    """
    frames = (
        Frame(FrameRef(frame.ref.clip, frame.ref.index - window.start), frame.image)
        for frame in read_stretch(clip, window.start, window.stop)
    )
    return record_motion(
        detections.keep(np.flatnonzero(detections.scores > reach.score)),
        frames,
        tracker,
        window=reach.window,
        size=clip.size,
        report=report,
    )


def carry(
    detections: Detections, motion: Motion, reach: Reach, size: tuple[int, int], window: Window
) -> Carried:
    """The detections of some frames of a stretch, carried.

    Args:
        detections: of the stretch.
        motion: of the stretch.
        reach: which are carried, and how far.
        size: (H, W) of the frames.
        window: the frames, counted from the first of the stretch.

    Returns:
        ``origin`` counts the detections of these frames, ``frame`` counts from the first of them
        and may lie outside.
    """
    low, high = np.searchsorted(detections.frame, (window.start, window.stop))
    rows = low + np.flatnonzero(detections.scores[low:high] > reach.score)
    carried = propagate(detections.keep(rows), motion, window=reach.window, size=size)
    return replace(carried, origin=rows[carried.origin] - low, frame=carried.frame - window.start)


def carried_arrays(carried: Carried, frame: IntArray) -> dict[str, NDArray[Any]]:
    """As it is stored: exact, the columns narrow; ``frame`` is that of the detections."""
    return {
        "origin": carried.origin.astype(np.int32),
        "offset": (carried.frame - frame[carried.origin]).astype(np.int16),
        "boxes": carried.boxes,
        "trust": carried.trust,
    }


def carried_of(arrays: Mapping[str, NDArray[Any]], frame: IntArray) -> Carried:
    """What ``carried_arrays`` was made of.

    Raises:
        KeyError: an array is missing.
        ValueError: they do not fit.
    """
    origin = arrays["origin"].astype(np.int64)
    if len(origin) and not 0 <= origin.min() <= origin.max() < len(frame):
        raise ValueError("carried: of other detections")
    return Carried(origin, frame[origin] + arrays["offset"], arrays["boxes"], arrays["trust"])


class CarriedMotion:
    """The motion of detections that were carried before. Implements ``Motion``.

    Knows where these boxes went, and no others: ``propagate`` asks for just that. Trust is 1, or 0
    where a track had ended.
    """

    def __init__(self, detections: Detections, carried: Carried, reach: Reach) -> None:
        """
        Args:
            detections: of a clip or of some frames of it.
            carried: ``origin`` counts these detections.
            reach: which were carried, and how far.
        """
        self._reach = reach
        start = np.flatnonzero(detections.scores > reach.score)
        home = detections.frame[carried.origin]
        offset = carried.frame - home
        # Every place that a track was at, once for each direction it may have gone on in.
        origin = np.concatenate([start, start, carried.origin])
        ones = np.ones(len(start), np.int64)
        toward = np.concatenate([ones, -ones, np.sign(offset)])
        far = np.concatenate([0 * ones, 0 * ones, np.abs(offset)])
        boxes = np.concatenate([detections.boxes[start]] * 2 + [carried.boxes]).astype(np.float32)
        order = np.lexsort((far, toward, origin))
        origin, toward, far, boxes = origin[order], toward[order], far[order], boxes[order]
        on = np.zeros(len(origin), np.bool_)
        on[:-1] = (
            (origin[1:] == origin[:-1]) & (toward[1:] == toward[:-1]) & (far[1:] == far[:-1] + 1)
        )
        frame = detections.frame[origin] + toward * far
        keep = np.flatnonzero(on | (far < reach.window))
        # Of two tracks at one place, the one that went on.
        keep = keep[np.argsort(~on[keep], kind="stable")]
        names = step_names(frame[keep], toward[keep], boxes[keep])
        rank = np.argsort(names, kind="stable")
        self._names, rows = names[rank], keep[rank]
        self._on = on[rows]
        moved = boxes.copy()
        moved[:-1][on[:-1]] = boxes[1:][on[:-1]]
        self._moved = moved[rows]

    def step(
        self, before: IntArray, after: IntArray, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Boxes (N, 4), row i in frame ``before[i]`` -> the same in ``after[i]``, trust (N,).

        Raises:
            ValueError: frames that are not neighbours, or a box that was not carried so far.
        """
        toward = after - before
        if (np.abs(toward) != 1).any():
            raise ValueError("step: frames that are not neighbours")
        if not len(before):
            return boxes.astype(np.float32), np.zeros(0, np.float32)
        asked = step_names(before, toward, boxes)
        place = np.minimum(np.searchsorted(self._names, asked), len(self._names) - 1)
        if not len(self._names) or (self._names[place] != asked).any():
            raise ValueError("step: a box that was not carried so far")
        return self._moved[place], self._on[place].astype(np.float32)
