"""Write tests/golden/selection.json anew: three seeded scenes from pixels to query.

    python tools/refresh_golden.py

Detections are the truth with seeded misses, jitter and false alarms, so that the file does not
depend on a network's last bits; flow, links, cut and selection are the real ones. Look at the
difference before committing it: every changed number is a changed result for users.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vidal.assemble import build_strategy
from vidal.coherence import CoherenceOptions, frame_counts
from vidal.evidence.gather import estimate_errors
from vidal.scenes import CLASSES, SceneSpec, annotations, plan, render
from vidal.selection.pool import PoolClip, build_pool
from vidal.track import FlowMeter, FlowOptions
from vidal.types import Annotations, Clip, Detections, Frame, FrameRef

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "selection.json"
SEED, FRAMES = 31, 36


def detections_from(truth: Annotations, rng: np.random.Generator) -> Detections:
    """The truth as a detector might see it: 15 % missed, corners moved, some false alarms."""
    found = rng.random(len(truth)) > 0.15
    boxes = truth.boxes[found]
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = boxes + rng.normal(0, 0.03, boxes.shape) * size
    false = rng.integers(0, truth.frames, truth.frames // 6)
    corner = rng.uniform(20, 200, (len(false), 2))
    boxes = np.concatenate([boxes, np.hstack([corner, corner + 24])])
    labels = np.concatenate([truth.labels[found], rng.integers(0, len(CLASSES), len(false))])
    frame = np.concatenate([truth.frame[found], false])
    order = np.argsort(frame, kind="stable")
    scores = rng.uniform(0.55, 0.99, len(frame)).astype(np.float32)
    probs = np.zeros((len(frame), len(CLASSES) + 1), np.float32)
    probs[np.arange(len(frame)), labels] = scores
    probs[:, -1] = 1 - scores
    return Detections(
        classes=CLASSES,
        scanned=np.ones(truth.frames, np.bool_),
        frame=frame[order],
        boxes=boxes[order],
        scores=scores[order],
        labels=labels[order],
        probs=probs[order],
        features=np.zeros((len(frame), 0)),
        embedding=np.zeros((truth.frames, 0)),
    )


def look(spec: SceneSpec) -> PoolClip:
    """One rendered clip through flow, links and cut."""
    clip = Clip(
        id=spec.name,
        path=Path(spec.name),
        pts=np.arange(spec.frames),
        time_base=Fraction(1, spec.rate),
        rate=Fraction(spec.rate),
        size=spec.size,
    )
    meter = FlowMeter(FlowOptions(), frames=clip.frames, size=clip.size)
    truths = []
    for index, (image, truth) in enumerate(render(spec)):
        meter.push(Frame(FrameRef(clip.id, index), image))
        truths.append(truth)
    table = detections_from(annotations(truths), np.random.default_rng(spec.seed))
    estimate = estimate_errors(table, meter.finish(), CoherenceOptions(), size=clip.size)
    everything = np.ones(clip.frames, np.bool_)
    return PoolClip(clip, everything, ~everything, table, estimate)


def golden() -> dict[str, Any]:
    """What the file holds."""
    parts = [look(spec) for spec in plan(3, SEED, frames=(FRAMES, FRAMES))]
    clips = {}
    for part in parts:
        assert part.detections is not None
        assert part.estimate is not None
        counts = frame_counts(part.estimate, part.detections.frame, part.clip.frames)
        clips[part.clip.id] = {
            "detections": len(part.detections),
            "candidates": len(part.estimate.missed_frame),
            "energy": part.estimate.energy,
            "link_share": round(part.estimate.link_share, 2),
            "false_positives": counts[:, 0].astype(int).tolist(),
            "misses": counts[:, 1].astype(int).tolist(),
        }
    queries = {}
    for name in ("temporal-coherence", "entropy", "margin", "every-nth", "random-r"):
        selector = build_strategy(name, gap=3, options={})
        pool = build_pool(parts, classes=CLASSES, needs=selector.needs, threshold=0.5)
        chosen = selector.select(pool, 9, np.random.default_rng(0))
        queries[name] = [str(pool.frames.ref(int(pos))) for pos in chosen]
    return {"clips": clips, "queries": queries}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1, allow_nan=False) + "\n")
    print(f"wrote {GOLDEN}")
