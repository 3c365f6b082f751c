"""From detections and where they were carried to verdicts and to evidence of expected errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vidal.coherence import (
    CoherenceOptions,
    Part,
    estimate,
    estimate_part,
    least_halo,
    prepare,
)
from vidal.evidence.tables import evidence_of_frames
from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence, ExpectedErrorsOptions, gather_evidence
from vidal.expected_errors.features import LONGEST_RUN
from vidal.protocols import Motion
from vidal.track import propagate
from vidal.types import BoolArray, Carried, Detections, ErrorEstimate, IntArray

HALO = 64
"""Frames around a window that are looked at first; more where the cut asks for more."""


def first_halo(coherence: CoherenceOptions, expected: ExpectedErrorsOptions | None) -> int:
    """Frames around a window without which its evidence would be another.

    Evidence of a detection reaches along its track as far as runs are told apart, and links of a
    track are made from four windows around them.
    """
    reach = 0 if expected is None else LONGEST_RUN + 4 * expected.window
    return max(HALO, reach, 2 * least_halo(coherence))


def estimate_errors(
    detections: Detections, motion: Motion, options: CoherenceOptions, *, size: tuple[int, int]
) -> ErrorEstimate:
    """Link, cluster, cut; ``rows`` of the result are rows of ``detections``."""
    judged = prepare(detections, options)
    carried = propagate(judged.detections, motion, window=options.window, size=size)
    verdicts = estimate(judged.detections, carried, options, size=size)
    return replace(verdicts, rows=judged.rows[verdicts.rows])


def estimate_window(
    detections: Detections,
    carried: Carried,
    options: CoherenceOptions,
    part: Part | None,
    *,
    size: tuple[int, int],
) -> ErrorEstimate | None:
    """The verdicts on the wanted frames of a stretch, of its whole where ``part`` is None.

    Args:
        detections: of the stretch.
        carried: at least its judged rows, at least so far as the window of the options.
        options: how to judge.
        part: what is wanted.
        size: (H, W) of the frames.

    Returns:
        ``rows`` count those detections that lie in the wanted frames. None: more of the clip has
        to be looked at.
    """
    judged = prepare(detections, options)
    mine = only(carried, detections, judged.rows, options.window)
    if part is None:
        verdicts = estimate(judged.detections, mine, options, size=size)
        return replace(verdicts, rows=judged.rows[verdicts.rows])
    found = estimate_part(judged.detections, mine, options, part, size=size)
    if found is None:
        return None
    first = int(np.searchsorted(detections.frame, part.start))
    return replace(found, rows=judged.rows[found.rows] - first)


def only(carried: Carried, detections: Detections, rows: IntArray, window: int) -> Carried:
    """What ``propagate`` would give of some rows alone; ``origin`` counts these rows.

    Args:
        carried: of the table, as far as the window or farther.
        detections: the table.
        rows: (R,) increasing.
        window: frames each way.
    """
    place = np.full(len(detections), -1, np.int64)
    place[rows] = np.arange(len(rows))
    near = np.abs(carried.frame - detections.frame[carried.origin]) <= window
    near &= place[carried.origin] >= 0
    return Carried(
        place[carried.origin[near]], carried.frame[near], carried.boxes[near], carried.trust[near]
    )


def clip_evidence(
    detections: Detections,
    motion: Motion,
    verdicts: ErrorEstimate | None,
    options: ExpectedErrorsOptions,
    *,
    size: tuple[int, int],
) -> Evidence:
    """Carry the detections that are looked at and gather the evidence of a clip.

    Args:
        detections: the clip's table.
        motion: of the clip.
        verdicts: of temporal coherence, ``rows`` of ``detections``; None = not known.
        options: threshold, floor and window are used.
        size: (H, W) of the frames.

    Raises:
        ValueError: verdicts on detections that are not looked at, because they were made with a
            lower threshold.
    """
    sure = np.flatnonzero(_carried(detections, options))
    carried = propagate(detections.keep(sure), motion, window=options.window, size=size)
    carried = replace(carried, origin=sure[carried.origin])
    return evidence_of(detections, carried, verdicts, options, size=size)


def evidence_of(
    detections: Detections,
    carried: Carried,
    verdicts: ErrorEstimate | None,
    options: ExpectedErrorsOptions,
    *,
    size: tuple[int, int],
) -> Evidence:
    """The same where detections are carried already.

    Args:
        carried: at least those that are looked at, at least so far as the window of the options.
        detections, verdicts, options, size: see ``clip_evidence``.

    Raises:
        ValueError: as for ``clip_evidence``.
    """
    kept = np.flatnonzero(detections.scores > options.least_score)
    sure = np.flatnonzero(_carried(detections, options))
    place = np.full(len(detections), -1, np.int64)
    place[kept] = np.arange(len(kept))
    mine = only(carried, detections, sure, options.window)
    mine = replace(mine, origin=place[sure[mine.origin]])
    if verdicts is not None:
        if (place[verdicts.rows] < 0).any():
            raise ValueError("verdicts: on detections with scores that are not looked at")
        verdicts = replace(verdicts, rows=place[verdicts.rows])
    table = detections if len(kept) == len(detections) else detections.keep(kept)
    evidence = gather_evidence(table, mine, verdicts, options, size=size)
    return replace(evidence, rows=kept[evidence.rows])


def evidence_window(
    detections: Detections,
    carried: Carried,
    verdicts: ErrorEstimate,
    options: ExpectedErrorsOptions,
    window: Window,
    *,
    size: tuple[int, int],
) -> Evidence:
    """The evidence of some frames of a stretch, which reach far enough around them.

    Args:
        detections, carried: of the stretch.
        verdicts: on the wanted frames; rows and frames count from the first of them.
        options, size: see ``clip_evidence``.
        window: the wanted frames, counted from the first of the stretch.
    """
    if window == Window(0, detections.frames):
        return evidence_of(detections, carried, verdicts, options, size=size)
    first = int(np.searchsorted(detections.frame, window.start))
    there = replace(
        verdicts, rows=verdicts.rows + first, missed_frame=verdicts.missed_frame + window.start
    )
    whole = evidence_of(detections, carried, there, options, size=size)
    return evidence_of_frames(whole, detections.frame, window)


def _carried(detections: Detections, options: ExpectedErrorsOptions) -> BoolArray:
    """(N,) bool: detections that are looked at and carried."""
    scores = detections.scores
    sure = scores > min(options.carry, options.threshold)
    return np.asarray(sure & (scores > options.least_score))
