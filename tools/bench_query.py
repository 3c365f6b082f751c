"""Time of one selection against a bare argsort of the same scores.

    python tools/bench_query.py --frames 1000000 --clips 2000

The argsort is what choosing the highest scores costs without clips, neighbours or ties.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vidal.assemble import STRATEGIES, build_strategy
from vidal.types import FrameSet, Pool, Regions

CLASSES = ("car", "cyclist", "pedestrian")


def a_pool(frames: int, clips: int, labelled: int, rng: np.random.Generator) -> Pool:
    """Clips of equal length with Poisson errors and one detection a frame."""
    length = frames // clips
    clip, index = np.divmod(np.arange(clips * length), length)
    known = np.zeros(len(clip), np.bool_)
    known[rng.choice(len(clip), labelled, replace=False)] = True
    names = tuple(f"clip-{c:05d}" for c in range(clips))
    f = int((~known).sum())
    errors = rng.poisson(0.2, (f, len(CLASSES), 2)).astype(np.float32)
    probs = rng.dirichlet(np.ones(len(CLASSES) + 1), f).astype(np.float32)
    regions = Regions(
        np.arange(f),
        np.tile(np.array([0, 0, 1, 1], np.float32), (f, 1)),
        probs[:, :-1].max(axis=1),
        probs[:, :-1].argmax(axis=1),
        probs,
        np.zeros((f, 0), np.float16),
    )
    return Pool(
        FrameSet(names, clip[~known], index[~known]),
        CLASSES,
        FrameSet(names, clip[known], index[known]),
        {"errors": errors},
        regions,
    )


def best(call: Callable[[], Any], repeats: int) -> float:
    """The least time of some calls, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(pool: Pool, budget: int, gap: int, repeats: int) -> Mapping[str, tuple[float, int]]:
    """Strategy -> seconds of one selection, frames chosen."""
    results = {}
    for name in STRATEGIES:
        selector = build_strategy(name, gap=gap, options={})
        if selector.needs - {"errors", "regions"}:
            continue  # needs evidence that is not made up here
        chosen = len(selector.select(pool, budget, np.random.default_rng(1)))
        seconds = best(lambda s=selector: s.select(pool, budget, np.random.default_rng(1)), repeats)  # type: ignore[misc]
        results[name] = (seconds, chosen)
    return results


def main() -> None:
    """Print one line a strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--clips", type=int, default=2_000)
    parser.add_argument("--labelled", type=int, default=20_000)
    parser.add_argument("--budget", type=int, default=20_000)
    parser.add_argument("--gap", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    pool = a_pool(args.frames, args.clips, args.labelled, np.random.default_rng(0))
    scores = pool.column("errors").sum(axis=(1, 2)) + np.random.default_rng(1).random(len(pool))
    sort = best(lambda: np.argsort(-scores), args.repeats)
    print(f"{len(pool):,} frames, {args.clips:,} clips, budget {args.budget:,}, gap {args.gap}")
    print(f"{'argsort':<22}{sort:8.3f} s")
    for name, (seconds, chosen) in measure(pool, args.budget, args.gap, args.repeats).items():
        print(f"{name:<22}{seconds:8.3f} s  {seconds / sort:6.1f} x  {chosen:,} chosen")


if __name__ == "__main__":
    main()
