"""A run that is killed loses at most a window a worker, and the next one goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidal.coherence import CoherenceOptions
from vidal.detect.spec import DetectorSpec
from vidal.evidence.gather import EvidencePlan
from vidal.evidence.gathered import Gathered, gather_clips
from vidal.evidence.places import Engines, store_at
from vidal.evidence.windows import Window
from vidal.expected_errors import ExpectedErrorsOptions
from vidal.track import FlowOptions
from vidal.types import Clip
from vidal.video import open_clip, write_video

FRAMES, WINDOW, WORKERS = 320, 32, 2


class Telling:
    """A watcher that prints how many frames are done."""

    def begin(self, clips: list[Clip], known: int) -> None:
        print(json.dumps({"begin": sum(clip.frames for clip in clips)}), flush=True)

    def advance(self, item: int, done: int, total: int) -> None:
        print(json.dumps({"done": done}), flush=True)

    def finish(self, item: int, remark: str) -> None:
        print(json.dumps({"finish": remark}), flush=True)


def plan_of(store: Path, window: int = WINDOW) -> EvidencePlan:
    return EvidencePlan(
        store,
        DetectorSpec("scenes-tiny", device="cpu"),
        4,
        FlowOptions(),
        CoherenceOptions(),
        ExpectedErrorsOptions(),
        window=window,
    )


def gathered(path: Path, store: Path, window: int = WINDOW) -> Gathered:
    clip, engines = open_clip(path), Engines(WORKERS)
    return gather_clips(plan_of(store, window), [clip], engines=engines, watcher=Telling())


def known_frames(path: Path, store: Path) -> int:
    keys = plan_of(store).keys(open_clip(path))
    told = store_at(store).known([part.carried for part in keys.parts()])
    pairs = zip(keys.windows, told, strict=True)
    return sum(window.frames for window, known in pairs if known is not None)


def run_until(path: Path, store: Path, frames: int) -> int | None:
    """Kill a run, all of its processes, once it has done so many frames; how many it had done.

    None where it came to its end before.
    """
    command = [sys.executable, __file__, str(path), str(store)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert run.stdout is not None
    done = 0
    for line in run.stdout:
        done = json.loads(line).get("done", done)
        if done >= frames:
            os.killpg(run.pid, signal.SIGKILL)
            break
    run.wait()
    run.stdout.close()
    return done if run.returncode == -signal.SIGKILL else None


@pytest.mark.slow
def test_a_killed_run_loses_at_most_a_window_a_worker(tmp_path):
    rng = np.random.default_rng(5)
    images = []
    ground = rng.integers(0, 255, (96, 640, 3), dtype=np.uint8)
    for at in range(FRAMES):
        image = ground[:, at : at + 128].copy()
        image[40:70, 20 + at // 8 : 70 + at // 8] = (200, 30, 30)
        images.append(image)
    path = tmp_path / "long.mp4"
    write_video(path, images, Fraction(25))
    store, before, kills = tmp_path / "store", 0, 0
    for _ in range(20):
        done = run_until(path, store, int(rng.integers(1, 110)))
        known = known_frames(path, store)
        if done is None:
            break
        kills += 1
        assert before <= known
        assert before + done - known <= WORKERS * WINDOW
        before = known
    assert kills >= 3
    assert known == FRAMES
    whole = gathered(path, tmp_path / "whole", FRAMES)
    found = gathered(path, store)
    name = open_clip(path).id
    assert whole.windows(name) == (Window(0, FRAMES),)
    assert len(found.windows(name)) == FRAMES // WINDOW
    assert whole.detections(name) == found.detections(name)
    one, two = whole.estimate(name), found.estimate(name)
    np.testing.assert_array_equal(one.false_positive, two.false_positive)
    np.testing.assert_array_equal(one.missed_boxes, two.missed_boxes)
    one, two = whole.rows(name), found.rows(name)
    np.testing.assert_array_equal(one.candidates.evidence, two.candidates.evidence)
    np.testing.assert_array_equal(one.detections.evidence, two.detections.evidence)


if __name__ == "__main__":
    gathered(Path(sys.argv[1]), Path(sys.argv[2]))
