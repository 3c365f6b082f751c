"""Memory of gathering the evidence of one long clip, and of one that is several times longer.

    python tools/bench_long.py [--seconds 60] [--times 4] [--workers 1] [--json FILE]
    python tools/bench_long.py --seconds 1080 --times 10 --workers 2   # three hours at the end

The clip is a rendered one of 100 frames at 480x300 over and over, copied packet by packet. What
stands for the detector costs nothing and holds nothing: what is measured is all the rest, decoding,
optical flow, estimates, evidence and sums by frame, as `vidal select` gathers them. Peak resident
memory of this process and of its largest worker, as the operating system accounts for them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidal.coherence import CoherenceOptions
from vidal.detect.spec import DetectorSpec
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.gathered import gather_clips
from vidal.evidence.places import Engines
from vidal.evidence.summary import SummaryOptions
from vidal.evidence.windows import WINDOW
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.scenes import plan as plan_scenes
from vidal.scenes.scene_files import write_scenes
from vidal.simulation.simulate import Unwatched
from vidal.track import FlowOptions
from vidal.types import Detections, Frame
from vidal.video import open_clip

PERIOD = 100
"""Frames of the rendered clip."""
BOXES = 25
"""Detections a frame, as of the shipped detector; two in five above the threshold."""


class Light:
    """Boxes that drift, some of them missing; of no picture."""

    classes = ("car", "pedestrian", "cyclist")
    key: Mapping[str, Any] = {"light": 1}

    def detect(self, frames: Sequence[Frame]) -> Detections:
        """As many a frame as the shipped detector finds."""
        tables = [self._boxes(frame.ref.index) for frame in frames]
        counts = [len(boxes) for boxes, _ in tables]
        boxes = np.concatenate([boxes for boxes, _ in tables])
        scores = np.concatenate([scores for _, scores in tables])
        labels = np.arange(len(boxes)) % 3
        probs = np.full((len(boxes), 4), 0.1, np.float32)
        probs[np.arange(len(boxes)), labels] = 0.7
        return Detections(
            classes=self.classes,
            scanned=np.ones(len(frames), np.bool_),
            frame=np.repeat(np.arange(len(frames)), counts),
            boxes=boxes,
            scores=scores,
            labels=labels,
            probs=probs,
            features=np.zeros((len(boxes), 0), np.float16),
            embedding=np.zeros((len(frames), 0), np.float32),
        )

    def _boxes(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(index)
        place = np.random.default_rng(1).uniform([0, 0], [440, 260], (BOXES, 2))
        place = (place + index * np.array([0.7, 0.1])) % np.array([440, 260])
        place += rng.normal(0, 1, place.shape)
        there = rng.random(BOXES) > 0.1
        scores = np.linspace(0.06, 0.98, BOXES) + rng.normal(0, 0.01, BOXES)
        boxes = np.concatenate([place, place + np.array([36.0, 30.0])], axis=1)
        return boxes[there].astype(np.float32), scores[there].clip(0, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class LightSpec(DetectorSpec):
    """Where a detector's specification stands."""

    @property
    def key(self) -> Mapping[str, Any]:
        """Of nothing."""
        return Light.key

    def load(self) -> Any:
        """At once."""
        return Light()

    def fetch(self) -> None:
        """Nothing to fetch."""


def long_clip(folder: Path, frames: int) -> Path:
    """A rendered clip over and over, without decoding it."""
    write_scenes(folder, plan_scenes(1, 5, frames=(PERIOD, PERIOD)))
    (short,) = sorted((folder / "clips").iterdir())
    path = folder / "long.mp4"
    with av.open(str(path), "w") as output:
        with av.open(str(short)) as source:
            stream = output.add_stream_from_template(source.streams.video[0])
        for repeat in range(-(-frames // PERIOD)):
            with av.open(str(short)) as source:
                video = source.streams.video[0]
                span = round(PERIOD / (video.average_rate * video.time_base))
                for packet in source.demux(video):
                    if packet.dts is not None:
                        packet.pts += repeat * span
                        packet.dts += repeat * span
                        packet.stream = stream
                        output.mux(packet)
    return path


def measure(seconds: float, workers: int, window: int) -> dict[str, Any]:
    """Gather one clip of that length here; peak memory in MiB, and seconds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clip = open_clip(long_clip(folder / "clip", round(25 * seconds)))
        before = _peak(resource.RUSAGE_SELF)
        options = ExpectedErrorsOptions()
        plan = EvidencePlan(
            folder / "store",
            LightSpec(),
            4,
            FlowOptions(),
            CoherenceOptions(),
            options,
            summary=SummaryOptions(0.5, expected=options),
            window=window,
        )
        began = time.monotonic()
        found = gather_clips(plan, [clip], engines=Engines(workers), watcher=Unwatched())
        kept = sum(file.stat().st_size for file in (folder / "store").rglob("*") if file.is_file())
        return {
            "frames": clip.frames,
            "windows": len(found.windows(clip.id)),
            "seconds": round(time.monotonic() - began, 1),
            "mib_before": round(before),
            "mib": round(_peak(resource.RUSAGE_SELF)),
            "mib_worker": round(_peak(resource.RUSAGE_CHILDREN)),
            "store_bytes_a_frame": round(kept / clip.frames),
        }


def _peak(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def main() -> None:
    """Measure a clip, and a longer one, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--window", type=int, default=WINDOW, help="frames that are worked on at once"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help="measure one clip, in this process")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.seconds, given.workers, given.window)))
        return
    rows = []
    for seconds in (given.seconds, given.seconds * given.times):
        command = [sys.executable, __file__, "--one", "--seconds", str(seconds)]
        command += ["--workers", str(given.workers), "--window", str(given.window)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1])
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    if "bench_long" not in sys.modules:  # workers import the classes by the module's own name
        sys.path.insert(0, str(Path(__file__).parent))
        import bench_long

        bench_long.main()
