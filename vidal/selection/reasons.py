"""Why a frame was chosen, in a sentence that names the boxes that its picture shows.

The verdicts are those of the picture (``vidal.evidence.verdicts``), so that whatever is counted
here is drawn there: likely misses first, then likely false alarms, then detections that are unsure.
What the estimate counts and the picture does not show is told, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidal import boxes as geometry
from vidal.openset.known_only import LIKELY
from vidal.protocols import Motion
from vidal.selection.result import ClipResult
from vidal.selection.sightings import Sighting, sightings, spans
from vidal.types import BoolArray, Explanation, FloatArray, FrameRef, ScoreArray
from vidal.types.verdicts import ALARM, UNSURE, Verdicts
from vidal.words import counted, place_of, several

_MISSED = -1
_LEADS = {
    _MISSED: ("likely miss", "likely misses"),
    ALARM: ("likely false alarm", "likely false alarms"),
    UNSURE: ("unsure box", "unsure boxes"),
}
_NAMED = 2
"""Places of a kind that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A box that is counted.

    Attributes:
        kind: ALARM, UNSURE, or missed.
        name: of its class.
        score: of the detector; 0 = nothing was detected.
        place: in the picture, in words.
        chance: by which the surest are named first.
        sighting: in neighbouring frames.
    """

    kind: int
    name: str
    score: float
    place: str
    chance: float
    sighting: Sighting


def with_boxes(explanation: Explanation, said: Sequence[str]) -> Explanation:
    """The strategy's words, behind those about boxes where there are any."""
    words = ("; ".join(filter(None, pair)) for pair in zip(said, explanation.words, strict=True))
    return replace(explanation, words=tuple(words))


def box_sentences(
    loaded: ClipResult,
    indices: Sequence[int],
    motion: Motion | None,
    *,
    threshold: float,
    window: int,
    unknown: Mapping[FrameRef, ScoreArray],
) -> dict[int, str]:
    """For frames of a clip what stands out in them; empty where nothing does.

    Args:
        loaded: the clip, with verdicts.
        indices: the frames.
        motion: of the clip; None = not known: nothing is said of neighbouring frames.
        threshold: detections with a higher score are detected.
        window: neighbouring frames each way.
        unknown: see ``SelectionResult``: likely unknown objects are no errors.
    """
    marked = _marked(loaded, indices, motion, threshold, window, unknown)
    faint = np.zeros(0, np.int64) if loaded.verdicts is None else loaded.verdicts.faint
    return {
        index: _sentence(marked[index], index, int(np.count_nonzero(faint == index)))
        for index in indices
    }


def _marked(
    loaded: ClipResult,
    indices: Sequence[int],
    motion: Motion | None,
    threshold: float,
    window: int,
    unknown: Mapping[FrameRef, ScoreArray],
) -> Mapping[int, list[Marked]]:
    verdicts, found = loaded.verdicts, loaded.detections
    result: dict[int, list[Marked]] = defaultdict(list)
    if verdicts is None or found is None or not len(indices):
        return result
    rows = _doubtful(loaded, verdicts, indices, threshold, unknown)
    inside = _inside(verdicts.missed_boxes, loaded)
    place = np.flatnonzero(np.isin(verdicts.missed_frame, indices) & inside)
    at = verdicts.rows[rows]
    frame = np.concatenate([found.frame[at], verdicts.missed_frame[place]])
    boxes = np.concatenate([found.boxes[at], verdicts.missed_boxes[place]])
    labels = np.concatenate([found.labels[at], verdicts.missed_label[place]])
    score = np.concatenate([found.scores[at], verdicts.missed_score[place]])
    chance = np.concatenate([verdicts.alarm[rows], verdicts.missed[place]])
    kind = np.concatenate([verdicts.kind[rows], np.full(len(place), _MISSED)])
    own = np.concatenate([at, np.full(len(place), -1)])
    order = np.argsort(frame, kind="stable")
    seen = [Sighting((), ())] * len(order)
    if motion is not None:
        seen = sightings(
            found,
            motion,
            (frame[order], boxes[order]),
            own[order],
            threshold=threshold,
            window=window,
            size=loaded.clip.size,
        )
    for each, sighting in zip(order.tolist(), seen, strict=True):
        result[int(frame[each])].append(
            Marked(
                int(kind[each]),
                found.classes[int(labels[each])],
                float(score[each]),
                place_of(boxes[each].tolist(), loaded.clip.size),
                float(chance[each]),
                sighting,
            )
        )
    return result


def _doubtful(
    loaded: ClipResult,
    verdicts: Verdicts,
    indices: Sequence[int],
    threshold: float,
    unknown: Mapping[FrameRef, ScoreArray],
) -> np.ndarray:
    """Judged rows that are counted: on these frames, not likely correct, and of a known class."""
    found = loaded.detections
    assert found is not None
    strange = np.zeros(len(found), np.bool_)
    for index in indices:
        likely = unknown.get(FrameRef(loaded.clip.id, index), np.zeros(0))
        here = np.flatnonzero((found.frame == index) & (found.scores > threshold))[: len(likely)]
        strange[here] = likely[: len(here)] > LIKELY
    there = np.isin(found.frame[verdicts.rows], indices) & ~strange[verdicts.rows]
    there &= _inside(found.boxes[verdicts.rows], loaded)
    return np.flatnonzero(there & np.isin(verdicts.kind, (ALARM, UNSURE)))


def _inside(boxes: FloatArray, loaded: ClipResult) -> BoolArray:
    """(N,) bool: boxes that a picture shows anything of."""
    return np.asarray(geometry.area(geometry.clip(boxes, loaded.clip.size)) > 0)


def _sentence(marked: Sequence[Marked], frame: int, faint: int) -> str:
    parts = []
    for kind, lead in _LEADS.items():
        mine = sorted((m for m in marked if m.kind == kind), key=_telling)
        groups: dict[object, list[Marked]] = defaultdict(list)
        for each in mine:
            # What was not detected has its own frames to tell; the others share a place.
            key = (each.name, each.place, each.score > 0 or len(groups))
            groups[key].append(each)
        named = [_group(group, frame) for group in list(groups.values())[:_NAMED]]
        if named:
            rest = ": " if len(groups) <= _NAMED else ", such as "
            parts.append(f"{counted(len(mine), *lead)}{rest}{', '.join(named)}")
    if faint:
        more = "more " * any(each.kind == _MISSED for each in marked)
        them = "it" if faint == 1 else "them"
        parts.append(
            f"{counted(faint, f'{more}expected object')} not drawn:"
            f" too few neighbouring frames show {them}"
        )
    return "; ".join(parts)


def _telling(marked: Marked) -> tuple[bool, float]:
    """Those first that come and go, then by their chance: a rank, the lowest first."""
    steady = marked.sighting.seen == marked.sighting.looked
    return marked.kind == UNSURE and steady, -marked.chance


def _group(group: Sequence[Marked], frame: int) -> str:
    first = group[0]
    weak = "weak " if first.kind == _MISSED and first.score else ""
    scores = ", ".join(_short(each.score) for each in group if each.score)
    what = several(len(group), f"{weak}{first.name}") + (f" ({scores})" if scores else "")
    said = f"{what} {first.place}"
    return said if len(group) > 1 else said + _seen(first, frame)


def _seen(marked: Marked, frame: int) -> str:
    seen, looked = marked.sighting.seen, marked.sighting.looked
    if not looked:
        return ""
    if marked.kind == _MISSED:
        missing = "" if marked.score else f", not in {frame}"
        return f" (seen in {_frames(seen)}{missing})" if seen else ""
    others = [each for each in looked if each not in seen]
    if not seen or not others:
        return f" ({'not ' if others else ''}seen in {_frames(looked)})"
    return f" (seen in {_frames(sorted((*seen, frame)))}, not in {spans(others)})"


def _frames(frames: Sequence[int]) -> str:
    return f"{'frame' if len(frames) == 1 else 'frames'} {spans(frames)}"


def _short(score: float) -> str:
    """``.42``."""
    return f"{score:.2f}".removeprefix("0")
