"""Frames a second of the scene renderer on one core, and beside it a bare baseline.

The baseline is what any renderer of this kind pays at least for a frame of the same size: one
texture look-up, one blur, one addition of noise. Both run in turn, so that their ratio holds on a
busy machine too.

    python tools/bench_scenes.py --clips 20 --frames 60
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np

from vidal.scenes import plan, render


def baseline(size: tuple[int, int]) -> Callable[[], None]:
    """A function that makes one bare frame."""
    height, width = size
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    map_x, map_y = 1.3 * x + 0.2 * y, 1.1 * y + 0.1 * x

    def frame() -> None:
        image = cv2.remap(texture, map_x, map_y, cv2.INTER_LINEAR)
        image = cv2.GaussianBlur(image, (3, 3), 0.7)
        cv2.addWeighted(image, 1.0, noise, 1.0, -128.0)

    return frame


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=300)
    parser.add_argument("--width", type=int, default=480)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    size = (options.height, options.width)
    specs = plan(options.clips, options.seed, frames=(options.frames, options.frames), size=size)
    bare = baseline(size)
    bare()
    spent, bare_spent, boxes, times = 0.0, 0.0, 0, []
    for spec in specs:
        start = time.process_time()
        frames = render(spec)
        for _ in range(spec.frames):
            before = time.process_time()
            _, truth = next(frames)
            times.append(time.process_time() - before)
            boxes += len(truth.labels)
        spent += time.process_time() - start
        start = time.process_time()
        for _ in range(spec.frames):
            bare()
        bare_spent += time.process_time() - start
    count = len(times)
    print(f"{count} frames {options.width}x{options.height}, {boxes / count:.1f} boxes a frame")
    print(f"{count / spent:.0f} frames/s of CPU with clip set-up")
    print(f"{1e3 * float(np.median(times)):.1f} ms median frame")
    print(f"{1e3 * bare_spent / count:.2f} ms bare frame (remap, blur, noise)")
    print(f"{spent / bare_spent:.1f} x the bare frame")


if __name__ == "__main__":
    main()
