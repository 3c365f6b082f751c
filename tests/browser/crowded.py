"""Selections with many boxes, and with many frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vidal.selection.result import ClipResult, SelectionResult
from vidal.types import (
    Clip,
    Detections,
    ErrorEstimate,
    Explanation,
    FrameRef,
    Query,
    SkippedClip,
)

CLASSES = ("car", "pedestrian", '<i>"odd"</i>')


def table(clip: Clip, boxes: int, seed: int = 0) -> Detections:
    """So many boxes on every frame, which hardly move; many overlap."""
    rng = np.random.default_rng(seed)
    height, width = clip.size
    corner = np.stack([rng.uniform(0, 0.8 * width, boxes), rng.uniform(0, 0.8 * height, boxes)], 1)
    size = rng.uniform(12, 0.2 * width, (boxes, 2))
    base = np.concatenate([corner, np.minimum(corner + size, (width, height))], axis=1)
    frame = np.repeat(np.arange(clip.frames), boxes)
    return Detections(
        classes=CLASSES,
        scanned=np.ones(clip.frames, bool),
        frame=frame,
        boxes=np.tile(base, (clip.frames, 1)).astype(np.float32),
        scores=np.tile(rng.uniform(0.51, 0.99, boxes), clip.frames),
        labels=np.tile(rng.integers(0, 3, boxes), clip.frames),
        probs=np.zeros((len(frame), 4)),
        features=np.zeros((len(frame), 0)),
        embedding=np.zeros((clip.frames, 0)),
    )


def estimate(found: Detections, alarms: int, misses: int) -> ErrorEstimate:
    """The first boxes of every frame are likely false alarms; misses lie beside the others."""
    frames, boxes = found.frames, len(found) // found.frames
    place = np.tile(np.arange(boxes), frames)
    count = frames * misses
    shift = np.tile(np.arange(misses), frames)[:, None]
    corner = np.array([[300.0, 40.0, 360.0, 90.0]], np.float32) + 30 * shift
    return ErrorEstimate(
        rows=np.arange(len(found)),
        false_positive=place < alarms,
        false_positive_confidence=np.where(place < alarms, 0.8, 0.1),
        missed_frame=np.repeat(np.arange(frames), misses),
        missed_boxes=corner.reshape(-1, 4),
        missed_label=np.zeros(count, np.int64),
        missed=np.ones(count, bool),
        missed_confidence=np.full(count, 0.95),
        energy=0.0,
        link_share=1.0,
    )


class Still:
    """Motion of a scene in which nothing moves, and nothing is lost."""

    def step(self, frame, target, boxes):
        return boxes, np.ones(len(boxes), np.float32)


def crowd(clip: Clip, picks: list[int], *, boxes: int = 12, clips: int = 1, **changes):
    """A result that picks these frames of every one of ``clips`` copies of a clip."""
    named = {f"{clip.id}-{n}": replace(clip, id=f"{clip.id}-{n}") for n in range(clips)}
    found = table(clip, boxes)
    judged = estimate(found, 2, 2)
    scores = np.abs(np.sin(np.arange(clip.frames))) * 5
    labelled = np.zeros(clip.frames, bool)
    labelled[20:25] = True
    refs = tuple(FrameRef(name, index) for index in picks for name in named)
    words = tuple(f"2 likely false alarms, {at} of them near the edge" for at in range(len(refs)))
    query = Query(
        round=1,
        frames=refs,
        scores=np.linspace(5, 1, len(refs)),
        explanation=Explanation(words, {"false_positives": np.full(len(refs), 2)}),
        budget=len(refs),
    )
    values = {
        "query": query,
        "clips": named,
        "skipped": (SkippedClip(clip.path.parent / "broken.mp4", "no video stream"),),
        "load": lambda name: ClipResult(
            named[name], found, judged, scores, np.ones(clip.frames, bool), labelled
        ),
        "strategy": "temporal-coherence",
        "classes": CLASSES,
        "threshold": 0.5,
        "budget_text": str(len(refs)),
        "budget_base": f"{clip.frames * clips} frames of {clips} clips",
        "settings": {"seed": 7},
        "versions": {"vidal": "0.1.0"},
        "notes": (),
        "motion": lambda name: Still(),
    }
    return SelectionResult(**(values | changes))
