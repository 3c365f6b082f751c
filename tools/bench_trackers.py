"""How well trackers carry true boxes, and what that costs, next to no motion.

    python tools/bench_trackers.py --rendered 5 --tfl ../shared/data/video/tfl_jamcam

Every tracker takes the true boxes of a frame and carries them one, two and three frames on, and
back, as ``vidal select`` would (``PixelMotion``). An object counts where it is in both frames and
keeps a third of its larger area. Lower rates drop frames of the same clips. Objects whose box does
not move, and on the TfL clips those marked as parked or stopped, are told apart as resting. A box
that a tracker gives up stays where it was last seen, and counts. Times are CPU times of this
process a frame, cut detection left out, both directions, window 3.

    python tools/bench_trackers.py --rendered 0 --raft-pairs 3 --add

times RAFT with random weights: what a pair of frames costs, once in each direction. What RAFT finds
cannot be measured so.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch

from vidal.assemble import PROPAGATORS
from vidal.boxes import area, iou_pairs
from vidal.query.options import build
from vidal.scenes import plan, render
from vidal.track import propagate, record_motion
from vidal.track.raft import RaftPropagator, raft_flow
from vidal.types import BoolArray, Carried, Detections, FloatArray, Frame, FrameRef, IntArray
from vidal.video import open_clip, read_frames

WINDOW = 3
DEFAULT = ["still", "flow", "sparse", "template"]
RESULT = Path(__file__).parent / "results" / "trackers.json"


@dataclass(frozen=True)
class Truth:
    """A clip with its true boxes, sorted by frame."""

    frames: list[Frame]
    frame: IntArray
    boxes: FloatArray
    track: IntArray
    moving: BoolArray

    def thinned(self, step: int) -> Truth:
        """Every ``step``-th frame."""
        kept = self.frame % step == 0
        frames = [
            Frame(FrameRef(frame.ref.clip, number), frame.image)
            for number, frame in enumerate(self.frames[::step])
        ]
        columns = (each[kept] for each in (self.frame // step, self.boxes, self.track, self.moving))
        return Truth(frames, *columns)

    def table(self) -> Detections:
        """The true boxes as detections."""
        n = len(self.frame)
        return Detections(
            classes=("object",),
            scanned=np.ones(len(self.frames), dtype=np.bool_),
            frame=self.frame,
            boxes=self.boxes,
            scores=np.ones(n, dtype=np.float32),
            labels=np.zeros(n, dtype=np.int64),
            probs=np.tile(np.float32([1, 0]), (n, 1)),
            features=np.zeros((n, 0), dtype=np.float16),
            embedding=np.zeros((len(self.frames), 0), dtype=np.float32),
        )


def rendered(clips: int, frames: int, seed: int) -> list[Truth]:
    found = []
    for spec in plan(clips, seed, frames=(frames, frames), rate=25):
        images, rows = [], []
        for index, (image, truth) in enumerate(render(spec)):
            images.append(Frame(FrameRef(spec.name, index), image))
            rows += [(index, box, at) for box, at in zip(truth.boxes, truth.track, strict=True)]
        found.append(_truth(images, rows, [True] * len(rows)))
    return found


def tfl(folder: Path, clips: int, frames: int) -> list[Truth]:
    found = []
    for labels in sorted(folder.glob("*/gt.jsonl"))[:clips]:
        clip = open_clip(labels.parent / "video.mp4", root=folder)
        images = []
        for frame in read_frames(clip):
            images.append(frame)
            if len(images) == frames:
                break
        rows, moving = [], []
        for line in labels.read_text().splitlines():
            entry = json.loads(line)
            for box in entry["boxes"] if entry["frame"] < len(images) else ():
                rows.append((entry["frame"], np.float32(box["xyxy"]), box["track"]))
                moving.append(not (box["parked"] or box["stopped"]))
        found.append(_truth(images, rows, moving))
    return found


def _truth(
    frames: list[Frame], rows: list[tuple[int, FloatArray, int]], moving: list[bool]
) -> Truth:
    frame, boxes, track = (np.array(column) for column in zip(*rows, strict=True))
    return Truth(frames, frame, boxes.astype(np.float32), track, np.array(moving))


def carried_by(truth: Truth, tracker: object) -> tuple[Carried, float]:
    """Tracks of all true boxes, and ms a frame."""
    table, size = truth.table(), truth.frames[0].image.shape[:2]
    start = time.process_time()
    motion = record_motion(table, truth.frames, tracker, window=WINDOW, size=size, cuts=False)
    spent = time.process_time() - start
    return propagate(table, motion, window=WINDOW, size=size), 1000 * spent / len(truth.frames)


def overlaps(truth: Truth, carried: Carried) -> dict[str, list[FloatArray]]:
    """IoU after 1, 2, 3 frames, of moving and of resting objects; both directions together."""
    place = {pair: row for row, pair in enumerate(zip(truth.track, truth.frame, strict=True))}
    at = {
        (origin, frame): row
        for row, (origin, frame) in enumerate(zip(carried.origin, carried.frame, strict=True))
    }
    result: dict[str, list[FloatArray]] = {"moving": [], "resting": []}
    for step in range(1, WINDOW + 1):
        values: dict[str, list[float]] = {"moving": [], "resting": []}
        for toward in (step, -step):
            for row, (track, frame) in enumerate(zip(truth.track, truth.frame, strict=True)):
                other = place.get((track, frame + toward))
                if other is None:
                    continue
                pair = truth.boxes[[row]], truth.boxes[[other]]
                sizes = area(pair[0])[0], area(pair[1])[0]
                if min(sizes) <= 0.33 * max(sizes):
                    continue
                back = range(toward, 0, -1 if toward > 0 else 1)
                last = next((at[row, frame + k] for k in back if (row, frame + k) in at), None)
                box = pair[0] if last is None else carried.boxes[[last]]
                own = truth.moving[row] and bool(np.abs(pair[0] - pair[1]).max() > 0.5)
                values["moving" if own else "resting"].append(float(iou_pairs(box, pair[1])[0]))
        for kind, found in values.items():
            result[kind].append(np.array(found, dtype=np.float32))
    return result


def measure(clips: list[Truth], tracker: object) -> dict[str, object]:
    parts, spent, frames, kept = [], 0.0, 0, 0
    for clip in clips:
        carried, cost = carried_by(clip, tracker)
        spent, frames, kept = spent + cost * len(clip.frames), frames + len(clip.frames), kept + 1
        parts.append(overlaps(clip, carried))
    row: dict[str, object] = {"ms": round(spent / frames, 2), "frames": frames, "clips": kept}
    for kind in ("moving", "resting"):
        steps = [np.concatenate([part[kind][k] for part in parts]) for k in range(WINDOW)]
        if all(len(step) for step in steps):
            row[kind] = {
                "iou": [round(float(step.mean()), 4) for step in steps],
                "above_half": round(float((steps[-1] > 0.5).mean()), 3),
                "objects": len(steps[-1]),
            }
    return row


def raft_cost(pairs: int, seed: int) -> dict[str, dict[str, float]]:
    """CPU milliseconds of one flow between rendered frames: the network's work, not its skill."""
    from torchvision.models import optical_flow

    images = [image for image, _ in render(plan(1, seed, frames=(pairs + 2, pairs + 2))[0])]
    updates, found = RaftPropagator().updates, {}
    for name in ("raft_small", "raft_large"):
        torch.manual_seed(seed)
        network = getattr(optical_flow, name)(weights=None).eval()
        raft_flow(network, images[0], images[1], updates=updates)
        start = time.process_time()
        for before, after in pairwise(images[1:]):
            raft_flow(network, before, after, updates=updates)
        ms = 1000 * (time.process_time() - start) / pairs
        found[name] = {"ms": round(ms), "pairs": pairs, "updates": updates}
        print(f"{name} with random weights: {ms:.0f} ms a pair and direction")
    return found


def trackers(given: list[str]) -> dict[str, object]:
    """``name`` or ``label=name,option=value,...``."""
    found = {}
    for text in given:
        label, _, rest = text.rpartition(":")
        name, *options = rest.split(",")
        pairs = dict(option.split("=", 1) for option in options)
        kind = PROPAGATORS[name]
        if name == "flow":
            inner = type(kind().options)
            found[label or name] = replace(kind(), options=build(inner, pairs))
        else:
            found[label or name] = build(kind, pairs)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rendered", type=int, default=3, help="clips")
    parser.add_argument("--tfl", type=Path, default=None, help="folder of the TfL clips")
    parser.add_argument("--tfl-clips", type=int, default=2)
    parser.add_argument("--frames", type=int, default=40, help="of every clip, at 25 a second")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument(
        "--thin", type=int, nargs="+", help="every so manieth frame; default 1 and 2, TfL 1 and 3"
    )
    parser.add_argument("--note", default="", help="added to the names of the results")
    parser.add_argument("--raft-pairs", type=int, default=0, help="time RAFT on so many pairs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument(
        "--add", action="store_true", help="keep what the result file says of other trackers"
    )
    parser.add_argument(
        "--tracker",
        action="append",
        default=None,
        help="a name, or LABEL:NAME,OPTION=VALUE,...; may be given again",
    )
    given = parser.parse_args()
    cv2.setNumThreads(given.threads)
    torch.set_num_threads(given.threads)
    sets = {}
    if given.rendered:
        sets["rendered"] = rendered(given.rendered, given.frames, given.seed)
    if given.tfl is not None:
        sets["tfl"] = tfl(given.tfl, given.tfl_clips, given.frames)
    results = json.loads(given.out.read_text()) if given.add and given.out.exists() else {}
    if given.raft_pairs:
        results["cost of RAFT, random weights"] = raft_cost(given.raft_pairs, given.seed)
    for data, clips in sets.items():
        for step in given.thin or (1, 3 if data == "tfl" else 2):
            # 25 frames a second give 12.5 or 8.3: the halves and thirds nearest to ten.
            thin = [clip.thinned(step) for clip in clips]
            label = f"{data} {25 / step:.3g}/s{given.note}"
            for name, tracker in trackers(given.tracker or DEFAULT).items():
                row = measure(thin, tracker)
                results.setdefault(label, {})[name] = row
                moving = row["moving"]
                values = " / ".join(f"{value:.3f}" for value in moving["iou"])
                print(f"{label:16} {name:10} {row['ms']:7} ms  {values}  {moving['above_half']}")
    given.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
