"""What the report and the pre-annotations show, gathered without reading more than that.

Of all frames only what was counted of them is read, window by window; boxes are read of selected
frames and their neighbours. What is kept is small: the boxes of the selected frames, sums by clip,
and of the clips that the page has room for a downsampled score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vidal.errors import EvidenceLost
from vidal.protocols import Motion
from vidal.report import figures
from vidal.report.marks import ALARM, CORRECT, MISS, PLAIN, Marks, marks_on
from vidal.report.near import REACH, Neighbour, neighbours
from vidal.report.overview import (
    ALARMS,
    DOUBTS,
    MISSES,
    Overview,
    Picks,
    Tally,
    by_class,
    most_picked,
)
from vidal.selection.loads import Loader, counted, loader_of
from vidal.selection.result import ClipResult, SelectionResult
from vidal.types import BoolArray, Clip, FrameRef, IntArray, ScoreArray

Progress = Callable[[str, int, int], None]
"""Called with the stage in words, how much of it is done, and how much there is."""

MOST_CLIPS = 200
"""Clips that the page draws; the others lie beside it in numbers."""

_POINTS_IN_ALL = 60_000
_POINTS_A_CLIP = (40, 600)


@dataclass(frozen=True, slots=True, eq=False)
class ClipSummary:
    """One clip that the page draws.

    Attributes:
        clip: the clip.
        picks: (rank from 1, index), in order of the index.
        x, y: seconds and score of the downsampled curve; NaN where not scored.
        labelled: (R, 2) float64, stretches of frames that were labelled before, in seconds.
        errors: (n, 4) int64: frames with likely false alarms, unsure detections or likely
            misses, and how many of each.
        most: pieces that a curve, or the errors, are drawn in at most.
    """

    clip: Clip
    picks: tuple[tuple[int, int], ...]
    x: ScoreArray
    y: ScoreArray
    labelled: ScoreArray
    errors: IntArray
    most: int


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything that is shown.

    Attributes:
        marks: for each selected frame.
        clips: a summary of each clip that is drawn: all of them, in the order of
            ``SelectionResult.clips``, or those with most selected frames.
        overview: all clips in numbers.
        estimated: errors of the detector were estimated.
        near: what is on the frames beside the first selected ones.
    """

    marks: dict[FrameRef, Marks]
    clips: tuple[ClipSummary, ...]
    overview: Overview
    estimated: bool
    near: Mapping[FrameRef, tuple[Neighbour, ...]] = field(default_factory=dict)

    @property
    def detected(self) -> bool:
        """A detector ran."""
        return self.overview.detected

    @property
    def calls_alarms(self) -> bool:
        """Whether a likely false alarm is said anywhere, or nothing is unsure.

        Before labels were learned from none is ever said: "0 likely false alarms" would mislead.
        """
        said = self.overview.said
        return bool(said[ALARMS] or not said[DOUBTS])


def gather(
    result: SelectionResult, progress: Progress | None = None, *, beside: int = 0
) -> Evidence:
    """What is shown of a selection; ``beside``: ranks whose neighbours are shown, too."""
    look = loader_of(result)
    picks = picks_of(result)
    overview, shown = _overview(result, look, picks, progress)
    selected = np.zeros_like(overview.pool)
    marks: dict[FrameRef, Marks] = {}
    near: dict[FrameRef, tuple[Neighbour, ...]] = {}
    for done, (name, mine) in enumerate(picks.items(), start=1):
        indices = [index for _, index in mine]
        loaded = look.near(name, indices, REACH)
        for index, each in zip(indices, marks_on(loaded, indices, result), strict=True):
            marks[FrameRef(name, index)] = each
        first = [index for rank, index in mine if rank <= beside]
        selected += _selected(loaded, indices, result.threshold)
        if first:
            motion = _motion(look, loaded, first)
            drawn = {index: marks[FrameRef(name, index)] for index in first}
            there = neighbours(loaded, drawn, motion, result.threshold)
            near |= {FrameRef(name, index): each for index, each in there.items()}
        if progress is not None:
            progress("boxes", done, len(picks))
    overview = replace(overview, selected=selected)
    return Evidence(marks, shown, overview, look.estimated, near)


def _motion(look: Loader, loaded: ClipResult, frames: Sequence[int]) -> Motion | None:
    """How the boxes near some frames move; None where that is not known."""
    if loaded.detections is None:
        return None
    try:
        return look.motion(loaded, frames, REACH)
    except EvidenceLost:
        return None


def _selected(loaded: ClipResult, frames: Sequence[int], threshold: float) -> IntArray:
    """(3, K) detections, likely false alarms and likely misses on selected frames, by class."""
    if loaded.detections is None:
        return np.zeros((3, 1), np.int64)
    part = counted(loaded, threshold)
    return by_class(part, np.array(frames, np.int64))


def picks_of(result: SelectionResult) -> Picks:
    """The selected frames of each clip that has any, clips in the order of the result."""
    picks: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for rank, ref in enumerate(result.query.frames, start=1):
        picks[ref.clip].append((rank, ref.index))
    return {
        name: sorted(picks[name], key=lambda pick: pick[1])
        for name in result.clips
        if name in picks
    }


def points_of(result: SelectionResult) -> int:
    """Points of the curve of one clip, at most."""
    low, high = _POINTS_A_CLIP
    return min(high, max(low, _POINTS_IN_ALL // max(len(result.clips), 1)))


def curve(loaded: ClipResult, points: int) -> tuple[ScoreArray, ScoreArray]:
    """Seconds and score of a clip's frames, downsampled."""
    return figures.downsample(_seconds(loaded.clip), _scores(loaded), points // 2)


def legend(evidence: Evidence) -> list[figures.BoxStyle]:
    """The styles of an estimate's verdicts, and of the other kinds of boxes that are drawn."""
    kinds = {int(kind) for marks in evidence.marks.values() for kind in np.unique(marks.kind)}
    usual = {CORRECT, ALARM, MISS} if evidence.estimated else {PLAIN}
    if not evidence.calls_alarms:
        usual.discard(ALARM)
    styles = enumerate(figures.STYLES)
    return [style for at, style in styles if at in usual or at in kinds]


def _overview(
    result: SelectionResult, look: Loader, picks: Picks, progress: Progress | None
) -> tuple[Overview, tuple[ClipSummary, ...]]:
    """All clips in numbers, and those that are drawn."""
    names = tuple(result.clips)
    labelled, peak = np.zeros(len(names), np.int64), np.full((len(names), 2), np.nan)
    masks: dict[str, BoolArray] = {}
    selectable = 0
    for number, name in enumerate(names):
        loaded = look.bare(name)
        scored = _scores(loaded)
        scored = scored[~np.isnan(scored)]
        if len(scored):
            peak[number] = scored.min(), scored.max()
        labelled[number] = np.count_nonzero(loaded.labelled)
        selectable += int(np.count_nonzero(loaded.selectable))
        masks[name] = loaded.selectable.copy()
        masks[name][[index for _, index in picks.get(name, ())]] = True
        if progress is not None:
            progress("clips", number + 1, len(names))
    chosen = np.array([len(picks.get(name, ())) for name in names], np.int64)
    shown = [names[number] for number in most_picked(chosen, peak, MOST_CLIPS)]
    tally = Tally.of(masks, shown, len(result.classes))
    numbers = {name: number for number, name in enumerate(names)}
    for part in look.counts():
        tally.add(part, numbers[part.clip])
    if look.doubts_by_class is not None:
        tally.pool[1:] = look.doubts_by_class[:, (ALARMS, MISSES)].T
    overview = Overview(
        names,
        chosen,
        labelled,
        peak,
        tally.detections,
        tally.doubts,
        tally.pool,
        np.zeros_like(tally.pool),
        tally.scanned,
        selectable,
        tally.said,
        tally.detected,
    )
    points = points_of(result)
    return overview, tuple(
        _summary(look.bare(name), tuple(picks.get(name, ())), tally.errors(name), points)
        for name in shown
    )


def _summary(
    loaded: ClipResult, picks: tuple[tuple[int, int], ...], errors: IntArray, points: int
) -> ClipSummary:
    seconds = _seconds(loaded.clip)
    x, y = curve(loaded, points)
    ends = np.append(seconds, seconds[-1] + float(1 / loaded.clip.rate))
    labelled = ends[figures.runs(loaded.labelled)]
    return ClipSummary(loaded.clip, picks, x, y, labelled, errors, points)


def _seconds(clip: Clip) -> ScoreArray:
    return (clip.pts - clip.pts[0]).astype(np.float64) * float(clip.time_base)


def _scores(loaded: ClipResult) -> ScoreArray:
    return np.asarray(loaded.scores, dtype=np.float64)
