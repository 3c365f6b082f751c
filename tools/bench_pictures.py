"""Pictures of chosen frames against one sequential decoding pass over the clips they lie in.

    python tools/bench_pictures.py [--clips 40] [--frames 120] [--picks 20] [--json FILE]

Rendered clips at 480x300, and the same enlarged to 1080p. In the same run: a bare PyAV pass over
every frame, nothing made of it; the same picks encoded as JPEG from memory; and what `vidal select`
does with the picks, here and by worker processes. Compared are core seconds (user and system, of
all processes, workers' start included); on a busy machine the wall time says little.

`ratio` is that of the pictures, without the encoding, to the bare pass: the goal is 1.3 at most.
`of_encoding` is the share of the whole that encoding is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from vidal.engine import ProcessEngine
from vidal.report.frames import write_frames
from vidal.scenes import plan, render
from vidal.types import Clip, FrameRef
from vidal.video import encode_jpeg, open_clip, read_frames, write_video

SIZES = {"480x300": None, "1920x1080": (1920, 1080)}
SCENES = 4
"""Rendered; the clips are copies of these: decoding a copy costs the same."""


def make_clips(folder: Path, clips: int, frames: int, size: tuple[int, int] | None) -> list[Clip]:
    """Clips of so many frames each, with names of their own."""
    made = []
    for number, spec in enumerate(plan(min(SCENES, clips), 1, frames=(frames, frames), rate=25)):
        path = folder / f"scene-{number}.mp4"
        images = (image for image, _ in render(spec))
        if size is not None:
            images = (cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image in images)
        write_video(path, images, Fraction(25), quality=23)
        made.append(path)
    names = [made[number % len(made)] for number in range(clips)]
    return [
        open_clip(shutil.copy(path, folder / f"clip-{number:03d}.mp4"))
        for number, path in enumerate(names)
    ]


def spent() -> float:
    """Core seconds of this process and of those that it has ended."""
    usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Core and wall seconds."""
    wall, cores = time.perf_counter(), spent()
    work()
    return {"core_s": spent() - cores, "wall_s": time.perf_counter() - wall}


def bare_pass(clips: list[Clip]) -> None:
    """Every frame of every clip, decoded by one thread."""
    for clip in clips:
        with av.open(str(clip.path)) as file:
            stream = file.streams.video[0]
            stream.thread_type = "NONE"
            for _ in file.decode(stream):
                pass


def encoding(clips: list[Clip], picks: dict[str, list[int]]) -> dict[str, float]:
    """The JPEG encoding of the picks alone, clip by clip from memory."""
    total = {"core_s": 0.0, "wall_s": 0.0}
    for clip in clips:
        images = [frame.image for frame in read_frames(clip, picks[clip.id])]
        took = timed(lambda images=images: [encode_jpeg(image) for image in images])
        total = {name: total[name] + took[name] for name in total}
    return total


def measure(clips: list[Clip], count: int, workers: int, folder: Path) -> dict[str, Any]:
    """All of it, for clips of one size."""
    rng = np.random.default_rng(0)
    picks = {clip.id: rng.choice(clip.frames, count, replace=False).tolist() for clip in clips}
    refs = [FrameRef(name, index) for name, mine in picks.items() for index in mine]
    rng.shuffle(refs)  # by rank, clips mixed
    by_id = {clip.id: clip for clip in clips}
    row: dict[str, Any] = {"clips": len(clips), "frames": sum(clip.frames for clip in clips)}
    row["pictures"] = len(refs)
    row["bare_pass"] = timed(lambda: bare_pass(clips))
    row["encoding"] = encoding(clips, picks)
    engines = {"here": None, "workers": lambda _, **__: ProcessEngine(workers)}
    for name, maker in engines.items():
        out = folder / name
        out.mkdir()
        row[name] = timed(
            lambda out=out, maker=maker: write_frames(refs, by_id, out, engines=maker)
        )
        shutil.rmtree(out)
        bare, all_of_it = row["bare_pass"]["core_s"], row[name]["core_s"]
        row[name]["ratio"] = (all_of_it - row["encoding"]["core_s"]) / bare
        row[name]["of_encoding"] = row["encoding"]["core_s"] / all_of_it
    return row


def main() -> None:
    """Render, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--picks", type=int, default=20)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    rows = {}
    with tempfile.TemporaryDirectory() as root:
        for name, size in SIZES.items():
            folder = Path(root) / name
            folder.mkdir()
            clips = make_clips(folder, given.clips, given.frames, size)
            rows[name] = measure(clips, given.picks, given.workers, folder)
            print(name, json.dumps(rows[name]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
