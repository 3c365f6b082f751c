"""What the report and the pre-annotations show, gathered in one pass over the clips.

Clips are loaded one at a time; what is kept is small: the boxes of the selected frames, and for
every clip its counts and a downsampled score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vidal import boxes as box
from vidal.openset.known_only import LIKELY
from vidal.report import figures
from vidal.report.near import Neighbour, neighbours
from vidal.selection.result import ClipResult, SelectionResult
from vidal.types import (
    UNKNOWN,
    Clip,
    Detections,
    FloatArray,
    FrameRef,
    IntArray,
    ScoreArray,
    verdicts,
)
from vidal.types.verdicts import Verdicts

Progress = Callable[[str, int, int], None]
"""Called with the stage in words, how much of it is done, and how much there is."""

PLAIN, CORRECT, UNSURE, ALARM, MISS, LIKELY_UNKNOWN, UNKNOWN_OBJECT = range(7)
"""Kinds of marks: not judged, likely correct, a detection that may be either, likely false alarm,
likely miss; a detection that is likely an unknown object, and a box that annotators called one."""
DETECTED = (PLAIN, CORRECT, UNSURE, ALARM, LIKELY_UNKNOWN)
"""Kinds of detections."""

BY_UNKNOWN = "known only"
"""What tells likely unknown objects; other verdicts say themselves what gave them."""

_POINTS_IN_ALL = 60_000
_POINTS_A_CLIP = (40, 600)


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What is drawn on one selected frame.

    Attributes:
        kind: (n,) int64, one of the above.
        boxes: (n, 4) float32 xyxy, cut to the image, never empty.
        labels: (n,) int64; -1 = annotated as an unknown object.
        scores: (n,) float64 of the detector, of a likely miss that of a weak detection there; NaN
            where it found nothing.
        certainty: (n,) float64 in [0, 1], of the verdict that ``kind`` states; NaN for
            ``PLAIN`` and what annotators said.
        by: the estimate that gave the verdicts, in words; empty where there are none.
        outside: boxes that lie outside the image as a whole, left out of the rows.
    """

    kind: IntArray
    boxes: FloatArray
    labels: IntArray
    scores: ScoreArray
    certainty: ScoreArray
    outside: int = 0
    by: str = ""

    def __len__(self) -> int:
        return len(self.kind)


_NO_ERRORS = np.zeros((0, 4), np.int64)
_NONE = np.zeros(0, np.int64)
_NO_MARKS = Marks(_NONE, np.zeros((0, 4), np.float32), _NONE, np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True, eq=False)
class ClipSummary:
    """One clip of the report.

    Attributes:
        clip: the clip.
        picks: (rank from 1, index), in order of the index.
        x, y: seconds and score of the downsampled curve; NaN where not scored.
        peak: lowest and highest score; (NaN, NaN) where nothing was scored.
        labelled: (R, 2) float64, stretches of frames that were labelled before, in seconds.
        pool: (3, K) int64, detections, likely false alarms and likely misses of the selectable
            and the selected frames, by class; ``selected``: the same of the selected frames.
        scanned: selectable or selected frames that the detector looked at.
        errors: (n, 4) int64: frames with likely false alarms, unsure detections or likely
            misses, and how many of each.
    """

    clip: Clip
    picks: tuple[tuple[int, int], ...]
    x: ScoreArray
    y: ScoreArray
    peak: tuple[float, float]
    labelled: ScoreArray
    pool: IntArray
    selected: IntArray
    scanned: int
    errors: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything that is shown.

    Attributes:
        marks: for each selected frame.
        clips: one summary a clip, in the order of ``SelectionResult.clips``.
        selectable: how many frames could be selected, over all clips.
        detected: a detector ran; ``estimated``: its errors were estimated.
        near: what is on the frames beside the first selected ones.
    """

    marks: dict[FrameRef, Marks]
    clips: tuple[ClipSummary, ...]
    selectable: int
    detected: bool
    estimated: bool
    near: Mapping[FrameRef, tuple[Neighbour, ...]] = field(default_factory=dict)

    @property
    def calls_alarms(self) -> bool:
        """Whether a likely false alarm is said anywhere, or nothing is unsure.

        Before labels were learned from none is ever said: "0 likely false alarms" would mislead.
        """
        errors = np.concatenate([each.errors for each in self.clips] or [_NO_ERRORS])
        return bool(errors[:, 1].any() or not errors[:, 2].any())


def gather(
    result: SelectionResult, progress: Progress | None = None, *, beside: int = 0
) -> Evidence:
    """One pass over all clips of a selection; ``beside``: ranks whose neighbours are shown, too."""
    picks: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for rank, ref in enumerate(result.query.frames, start=1):
        picks[ref.clip].append((rank, ref.index))
    low, high = _POINTS_A_CLIP
    points = min(high, max(low, _POINTS_IN_ALL // max(len(result.clips), 1)))
    marks: dict[FrameRef, Marks] = {}
    near: dict[FrameRef, tuple[Neighbour, ...]] = {}
    summaries: list[ClipSummary] = []
    selectable, detected, estimated = 0, False, False
    for done, name in enumerate(result.clips, start=1):
        loaded = result.load(name)
        chosen = sorted(picks[name], key=lambda pick: pick[1])
        indices = [index for _, index in chosen]
        for index, each in zip(indices, _marks(loaded, indices, result), strict=True):
            marks[FrameRef(name, index)] = each
        first = [index for rank, index in chosen if rank <= beside]
        if first:
            motion = None if loaded.detections is None else result.motion(name)
            drawn = {index: marks[FrameRef(name, index)] for index in first}
            shown = neighbours(loaded, drawn, motion, result.threshold)
            near |= {FrameRef(name, index): each for index, each in shown.items()}
        summaries.append(_summary(loaded, tuple(chosen), result, points))
        selectable += int(np.count_nonzero(loaded.selectable))
        detected |= loaded.detections is not None
        estimated |= loaded.judged is not None or loaded.estimate is not None
        if progress is not None:
            progress("clips", done, len(result.clips))
    return Evidence(marks, tuple(summaries), selectable, detected, estimated, near)


def legend(evidence: Evidence) -> list[figures.BoxStyle]:
    """The styles of an estimate's verdicts, and of the other kinds of boxes that are drawn."""
    kinds = {int(kind) for marks in evidence.marks.values() for kind in np.unique(marks.kind)}
    usual = {CORRECT, ALARM, MISS} if evidence.estimated else {PLAIN}
    if not evidence.calls_alarms:
        usual.discard(ALARM)
    styles = enumerate(figures.STYLES)
    return [style for at, style in styles if at in usual or at in kinds]


def named(label: int, classes: tuple[str, ...]) -> str:
    """The class of a mark in words."""
    return "unknown object" if label == UNKNOWN else classes[label]


_KIND = {verdicts.CORRECT: CORRECT, verdicts.UNSURE: UNSURE, verdicts.ALARM: ALARM}


def _judged(
    found: Detections, said: Verdicts | None, threshold: float
) -> tuple[IntArray, IntArray, ScoreArray]:
    """Rows above the threshold, their kind, and the certainty of that verdict."""
    rows = np.flatnonzero(found.scores > threshold)
    kind = np.full(len(found), PLAIN, dtype=np.int64)
    certainty = np.full(len(found), np.nan)
    if said is not None:
        kind[said.rows] = np.array([_KIND[each] for each in sorted(_KIND)])[said.kind]
        certainty[said.rows] = said.certainty
    return rows, kind[rows], certainty[rows]


def _marks(loaded: ClipResult, indices: Sequence[int], result: SelectionResult) -> list[Marks]:
    """The marks of some frames of a clip, in their order."""
    found, said = loaded.detections, loaded.verdicts
    if found is None:
        return [_NO_MARKS] * len(indices)
    rows, kind, certainty = _judged(found, said, result.threshold)
    for index in indices:
        likely = result.unknown.get(FrameRef(loaded.clip.id, index), np.zeros(0))
        here = np.flatnonzero(found.frame[rows] == index)[: len(likely)]
        use = here[likely[: len(here)] > LIKELY]
        kind[use], certainty[use] = (
            LIKELY_UNKNOWN,
            likely[: len(here)][likely[: len(here)] > LIKELY],
        )
    columns = [
        (found.frame[rows], kind, found.boxes[rows], found.labels[rows], found.scores[rows]),
    ]
    sure = [certainty]
    if said is not None:
        places = said.missed_frame, np.full(len(said.missed_frame), MISS)
        # The detector found nothing there, or less than it would say itself.
        weak = np.where(said.missed_score > 0, said.missed_score, np.nan).astype(np.float32)
        columns.append((*places, said.missed_boxes, said.missed_label, weak))
        sure.append(said.missed.astype(np.float64))
    for index in indices:
        boxes = result.called_unknown.get(FrameRef(loaded.clip.id, index))
        if boxes is not None:
            one = np.ones(len(boxes), np.int64)
            unscored = np.full(len(boxes), np.nan, np.float32)
            columns.append((index * one, UNKNOWN_OBJECT * one, boxes, UNKNOWN * one, unscored))
            sure.append(unscored.astype(np.float64))
    frame, *rest = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(frame, kind="stable")  # detections of a frame stay before its misses
    kinds, boxes, labels, scores = (column[order] for column in rest)
    surety = np.concatenate(sure)[order]
    ends = np.searchsorted(frame[order], np.add.outer([0, 1], indices))
    by = "" if said is None else said.by
    return [
        _marks_of(loaded.clip, kinds[at], boxes[at], labels[at], scores[at], surety[at], by)
        for at in (slice(first, last) for first, last in ends.T)
    ]


def _marks_of(
    clip: Clip,
    kinds: IntArray,
    boxes: FloatArray,
    labels: IntArray,
    scores: FloatArray,
    certainty: ScoreArray,
    by: str,
) -> Marks:
    """Of one frame: cut to the image, without what lies outside."""
    boxes = box.clip(boxes, clip.size)
    inside = box.area(boxes) > 0
    return Marks(
        kinds[inside],
        boxes[inside],
        labels[inside],
        scores[inside].astype(np.float64),
        certainty[inside],
        int(np.count_nonzero(~inside)),
        by,
    )


def _summary(
    loaded: ClipResult, picks: tuple[tuple[int, int], ...], result: SelectionResult, points: int
) -> ClipSummary:
    clip = loaded.clip
    ticks = (clip.pts - clip.pts[0]).astype(np.float64)
    seconds = ticks * float(clip.time_base)
    scores = np.asarray(loaded.scores, dtype=np.float64)
    x, y = figures.downsample(seconds, scores, points // 2)
    scored = scores[~np.isnan(scores)]
    peak = (float(scored.min()), float(scored.max())) if len(scored) else (np.nan, np.nan)
    ends = np.append(seconds, seconds[-1] + float(1 / clip.rate))
    chosen = np.zeros(clip.frames, dtype=np.bool_)
    chosen[[index for _, index in picks]] = True
    pool, said = loaded.selectable | chosen, loaded.verdicts
    scanned = loaded.detections.scanned if loaded.detections is not None else np.zeros_like(pool)
    return ClipSummary(
        clip=clip,
        picks=picks,
        x=x,
        y=y,
        peak=peak,
        labelled=ends[figures.runs(loaded.labelled)],
        pool=_counts(loaded, said, pool, result),
        selected=_counts(loaded, said, chosen, result),
        scanned=int(np.count_nonzero(pool & scanned)),
        errors=_errors(loaded, said),
    )


def _errors(loaded: ClipResult, said: Verdicts | None) -> IntArray:
    """(n, 4) frames where something is in doubt, in order: false alarms, unsure ones, misses."""
    found = loaded.detections
    if found is None or said is None:
        return np.zeros((0, 4), np.int64)
    places = (
        found.frame[said.rows[said.kind == verdicts.ALARM]],
        found.frame[said.rows[said.kind == verdicts.UNSURE]],
        said.missed_frame,
    )
    counts = np.stack([np.bincount(each, minlength=loaded.clip.frames) for each in places])
    frames = np.flatnonzero(counts.any(axis=0))
    return np.stack([frames, *counts[:, frames]], axis=1).astype(np.int64)


def _counts(
    loaded: ClipResult, said: Verdicts | None, frames: np.ndarray, result: SelectionResult
) -> IntArray:
    """(3, K) detections, likely false alarms, likely misses by class, on these frames."""
    k = len(result.classes)
    counts = np.zeros((3, k), dtype=np.int64)
    found = loaded.detections
    if found is None:
        return counts
    rows, kind, _ = _judged(found, said, result.threshold)
    here = frames[found.frame[rows]]
    labels = found.labels[rows]
    counts[0] = np.bincount(labels[here], minlength=k)
    counts[1] = np.bincount(labels[here & (kind == ALARM)], minlength=k)
    if said is not None:
        gone = said.missed_label[frames[said.missed_frame]]
        counts[2] = np.bincount(gone, minlength=k)
    return counts
