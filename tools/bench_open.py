"""Opening clips: the first time, against a bare pass over their packets, and when they are known.

    python tools/bench_open.py [--clips 1000] [--known 10000] [--json FILE]

CPU seconds of one process. The clips of the first part are six rendered ones, over and over, each
with a few bytes of its own behind it; the large one is rendered at 1920 x 1080; those of the second
part are short and small, because nothing of them is read. Beside what opening takes stand its
parts, and what decoding the first frames and the last group takes, as it was done for all clips.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidal.evidence import places
from vidal.evidence.clips import open_clips
from vidal.evidence.places import Engines
from vidal.video import index, open_clip, write_video
from vidal.video.identity import clip_id
from vidal.video.source import Source

ENGINES = Engines(1, "cpu")
RATE = Fraction(10)


def seconds(work: Callable[[], Any]) -> float:
    """CPU time of a call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def copies(clips: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """So many files, each of its own content: an empty box with a number is added."""
    folder.mkdir(parents=True)
    made = []
    for number in range(count):
        path = folder / f"{number % 10}" / f"clip_{number:05d}.mp4"
        path.parent.mkdir(exist_ok=True)
        data = clips[number % len(clips)].read_bytes()
        path.write_bytes(data + struct.pack(">I4sQ", 16, b"free", number))
        made.append(path)
    return made


def rendered(folder: Path, clips: int, frames: str, size: str) -> list[Path]:
    """Clips of `vidal scenes`."""
    words = ["scenes", "--out", str(folder), "--clips", str(clips), "--seed", "3", "--workers", "1"]
    command = [sys.executable, "-m", "vidal", *words, "--frames", frames, "--size", size, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return sorted((folder / "clips").glob("*.mp4"))


def bare(path: Path) -> None:
    """A pass over the packets, as short as it can be written."""
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            _ = packet.pts


def quick(path: Path) -> None:
    """Open without completing by decoding what the container states."""
    Source(path, quick=True).close()


PARTS: dict[str, Callable[[Path], Any]] = {
    "bare_demux": bare,
    "content": lambda path: clip_id(path, [path], None),
    "container": quick,
    "table": index._by_packets,
    "table_by_decoding": index._by_time,
    "all": open_clip,
}


def first(paths: Sequence[Path]) -> dict[str, float]:
    """CPU seconds of the parts for all paths, and the ratio that counts."""
    for work in PARTS.values():
        work(paths[0])  # imports, caches of the file system
    result = {name: seconds(lambda w=work: [w(p) for p in paths]) for name, work in PARTS.items()}
    result["ratio_to_bare_demux"] = result["all"] / result["bare_demux"]
    return {name: round(value, 3) for name, value in result.items()}


def runs(folder: Path, store: Path) -> dict[str, float]:
    """A first run of all clips with a store, one after a change of all time stamps, a second."""

    def again() -> None:
        places.store_at.cache_clear()
        open_clips(folder, engines=ENGINES, store=store, image_rate=RATE)

    result = {"first": seconds(again)}
    result["pack"] = seconds(places.store_at(store).pack)
    for path in folder.rglob("*.mp4"):
        os.utime(path)
    time.sleep(2.1)  # files that changed a moment ago are not remembered by their times
    result["touched"] = seconds(again)
    result["pack_hints"] = seconds(places.store_at(store).pack)
    result["second"] = seconds(again)
    return {name: round(value, 3) for name, value in result.items()}


def small(folder: Path) -> Path:
    """A short clip of small pictures."""
    rng = np.random.default_rng(3)
    wide = rng.integers(0, 255, (48, 200, 3), dtype=np.uint8)
    write_video(folder / "small.mp4", (wide[:, n : n + 64] for n in range(120)), Fraction(25))
    return folder / "small.mp4"


def main() -> None:
    """Render, copy, open; print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--known", type=int, default=10000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes = rendered(folder / "scenes", 6, "60-180", "480x300")
        many = copies(scenes, given.clips, folder / "many")
        large = rendered(folder / "large", 1, "100-100", "1920x1080")
        copies([small(folder)], given.known, folder / "known")
        figures = {
            "clips": given.clips,
            "frames_a_clip": round(float(np.mean([open_clip(each).frames for each in scenes])), 1),
            "bytes_a_clip": round(float(np.mean([each.stat().st_size for each in scenes]))),
            "first_run": first(many),
            "large": {"bytes": large[0].stat().st_size, **first(large)},
            "known": {"clips": given.known, **runs(folder / "known", folder / "store")},
        }
    text = json.dumps(figures, indent=1)
    print(text)
    if given.json is not None:
        given.json.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
