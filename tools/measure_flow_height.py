"""What optical flow at a reduced height costs in accuracy: verdicts against those at full height.

    python tools/measure_flow_height.py --data DIR [--clips 6] [--heights 240,180,144,120]

The clips: traffic cameras with the output of a real detector, two real driving videos with what the
shipped detector finds there (it was made for rendered scenes: a source of boxes, no more), and
rendered clips with the shipped detector. "Full" is the default, 300 lines. Times are CPU times of
this process for the whole measurement of flow, both ways, in turn; the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from real_detections import TFL, sequences

from vidal import scenes
from vidal.boxes import iou
from vidal.coherence import CoherenceOptions, estimate, prepare
from vidal.detect import DetectOptions, load_detector
from vidal.evidence.clips import open_clips
from vidal.evidence.places import Engines
from vidal.track import FlowField, FlowMeter, FlowOptions, propagate
from vidal.types import Detections, ErrorEstimate, Frame, FrameRef
from vidal.video import read_frames

RESULT = Path(__file__).parent / "results" / "flow_height.json"
FULL = FlowOptions().height
SEED = 21


@dataclass(frozen=True, slots=True)
class Looked:
    """A clip's frames and detections."""

    name: str
    kind: str
    frames: list[Frame]
    detections: Detections

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.frames[0].image.shape[:2]
        return height, width


def detected(frames: Sequence[Frame]) -> Detections:
    """What the shipped detector finds."""
    detector = load_detector("scenes-tiny", device="cpu", options=DetectOptions(precision="fp32"))
    groups = [frames[first : first + 4] for first in range(0, len(frames), 4)]
    found = [detector.detect(group) for group in groups]
    return Detections.gather(
        found, range(len(frames)), frames=len(frames), classes=detector.classes
    )


def opened(video: Path, cache: Path, most: int) -> list[Frame]:
    """The first frames of a video."""
    (clip,), _ = open_clips(
        video, engines=Engines(0, "cpu", detects=False), store=cache, image_rate=Fraction(10)
    )
    return list(read_frames(clip, range(min(most, clip.frames))))


def clips(data: Path, cache: Path, rendered: int, most: int) -> Iterator[Looked]:
    """One after the other: frames are large."""
    videos = data / "video"
    for entry in sequences(data, TFL, cache):
        (folder,) = (videos / "tfl_jamcam").glob(f"{entry.name}_*")
        frames = opened(folder / "video.mp4", cache, 10**6)
        yield Looked(entry.name, "traffic camera, YOLOX-nano", frames, entry.detections)
    for video in sorted((videos / "unlabelled").glob("*.mp4")):
        frames = opened(video, cache, most)
        yield Looked(video.stem, "real video, scenes-tiny", frames, detected(frames))
    for spec in scenes.plan(rendered, SEED, split="test", frames=(40, 40), rate=25):
        frames = [Frame(FrameRef(spec.name, n), i) for n, (i, _) in enumerate(scenes.render(spec))]
        yield Looked(spec.name, "rendered, scenes-tiny", frames, detected(frames))


def flow(clip: Looked, height: int) -> tuple[FlowField, float]:
    """The flow, and the CPU milliseconds a frame."""
    began = time.process_time()
    meter = FlowMeter(replace(FlowOptions(), height=height, threads=1), len(clip.frames), clip.size)
    for frame in clip.frames:
        meter.push(frame)
    return meter.finish(), 1000 * (time.process_time() - began) / len(clip.frames)


def verdicts(clip: Looked, field: FlowField, threshold: float) -> ErrorEstimate:
    """Of temporal coherence."""
    options = CoherenceOptions(score_threshold=threshold)
    judged = prepare(clip.detections, options)
    carried = propagate(judged.detections, field, window=options.window, size=clip.size)
    return estimate(judged.detections, carried, options, size=clip.size)


def matched(first: ErrorEstimate, second: ErrorEstimate) -> tuple[int, int, int]:
    """Missed objects of both: in the first, in the second, and in both (same frame, IoU > .5)."""
    mine, theirs = np.flatnonzero(first.missed), np.flatnonzero(second.missed)
    both = 0
    for frame in np.intersect1d(first.missed_frame[mine], second.missed_frame[theirs]):
        a = mine[first.missed_frame[mine] == frame]
        b = theirs[second.missed_frame[theirs] == frame]
        close = iou(first.missed_boxes[a], second.missed_boxes[b]) > 0.5
        both += int(min(close.any(axis=0).sum(), close.any(axis=1).sum()))
    return len(mine), len(theirs), both


def compare(clip: Looked, heights: Sequence[int], threshold: float, rounds: int) -> list[dict]:
    """One row a height."""
    spent: dict[int, list[float]] = {}
    fields = {}
    for _ in range(rounds):
        for height in heights:
            fields[height], ms = flow(clip, height)
            spent.setdefault(height, []).append(ms)
    full = verdicts(clip, fields[heights[0]], threshold)
    rows = []
    for height in heights:
        own = verdicts(clip, fields[height], threshold)
        missed_full, missed, both = matched(full, own)
        rows.append(
            {
                "clip": clip.name,
                "kind": clip.kind,
                "size": list(clip.size),
                "height": height,
                "ms": statistics.median(spent[height]),
                "judged": len(own.rows),
                "false_alarms": int(own.false_positive.sum()),
                "same_verdict": int((own.false_positive == full.false_positive).sum()),
                "missed": missed,
                "missed_full": missed_full,
                "missed_both": both,
            }
        )
    return rows


def summed(rows: Sequence[dict]) -> list[dict]:
    """One row a kind and height."""
    found = []
    for kind, height in dict.fromkeys((row["kind"], row["height"]) for row in rows):
        mine = [row for row in rows if (row["kind"], row["height"]) == (kind, height)]
        total = {
            name: sum(row[name] for row in mine)
            for name in ("judged", "same_verdict", "missed", "missed_full", "missed_both")
        }
        either = total["missed"] + total["missed_full"]
        found.append(
            {
                "kind": kind,
                "height": height,
                "clips": len(mine),
                "ms": round(statistics.mean(row["ms"] for row in mine), 2),
                "judged": total["judged"],
                "same_verdict": round(total["same_verdict"] / max(1, total["judged"]), 4),
                "missed_agreement": round(2 * total["missed_both"] / max(1, either), 4),
            }
        )
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=6, help="rendered ones")
    parser.add_argument("--heights", default="240,180,144,120")
    parser.add_argument("--most", type=int, default=120, help="frames of a real driving video")
    parser.add_argument("--threshold", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULT)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    heights = [FULL, *map(int, given.heights.split(","))]
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips(given.data, Path(folder), given.clips, given.most):
            rows += compare(clip, heights, given.threshold, given.rounds)
            print(json.dumps(rows[-len(heights) :]), flush=True)
    table = summed(rows)
    for row in table:
        print(row)
    record = {
        "what": f"verdicts at threshold {given.threshold} against those of flow at {FULL} lines",
        "seed": SEED,
        "machine": {"python": platform.python_version(), "opencv": cv2.__version__},
        "table": table,
        "rows": rows,
    }
    given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
