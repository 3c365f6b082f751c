"""Kill workers at random moments of a selection, and see what is lost: nothing but a little work.

Rendered clips (or --videos) are selected from undisturbed in this process, then by each engine
while workers are killed with SIGKILL, each when a random share of all frames is done. The query and
every entry of the store have to be those of the undisturbed run. The work that is lost is the
frames that a killed worker had looked at of the clip it had at hand, which are looked at again.

    python tools/bench_kills.py --out tools/results/kills.json

takes ten minutes on two cores; --clips 12 --kills 3 --engines process takes one. The exit status is
1 if a query or a store differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np

from vidal.api.selections import Selection, ahead
from vidal.report import write_outputs
from vidal.scenes import plan
from vidal.scenes.scene_files import write_scenes
from vidal.selection.plan import prepare_selection
from vidal.selection.run import run_selection
from vidal.store import FileStore
from vidal.types import Clip


class Killer:
    """A watcher that kills a worker whenever another random share of the frames is done."""

    def __init__(self, workers: Callable[[], Sequence[int]], kills: int, seed: int) -> None:
        self._workers, self._rng = workers, np.random.default_rng(seed)
        self._shares = sorted(self._rng.uniform(0.02, 0.95, kills).tolist(), reverse=True)
        self._frames: list[int] = []
        self._done: list[int] = []
        self._hits: Counter[int] = Counter()
        self.kills = 0
        self.lost = 0

    def begin(self, clips: Sequence[Clip], known: int) -> None:
        self._frames = [clip.frames for clip in clips]
        self._done = [0] * len(clips)

    def advance(self, item: int, done: int, total: int) -> None:
        if done < self._done[item]:
            self.lost += self._done[item] - done
            self._hits[item] += 1
        self._done[item] = done
        self._perhaps()

    def finish(self, item: int, remark: str) -> None:
        if remark:
            raise SystemExit(f"clip {item}: {remark}")
        self._done[item] = self._frames[item]
        self._hits.pop(item, None)
        self._perhaps()

    @property
    def share(self) -> float:
        """Of the frames that were looked at in vain."""
        return self.lost / max(1, sum(self._frames))

    def _perhaps(self) -> None:
        if not self._shares or sum(self._done) < self._shares[-1] * sum(self._frames):
            return
        alive = sorted(self._workers())
        if alive and max(self._hits.values(), default=0) < 2:  # a third time it would be given up
            os.kill(int(self._rng.choice(alive)), signal.SIGKILL)
            self._shares.pop()
            self.kills += 1


def processes() -> list[int]:
    """Process ids of worker processes."""
    return [each.pid for each in active_children() if each.pid is not None]


def actors() -> list[int]:
    """Process ids of Ray actors of this user on this machine."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().startswith(b"ray::Hand"):
                found.append(int(place.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


WORKERS = {"local": list, "process": processes, "ray": actors}


def entries(root: Path) -> dict[str, str]:
    """A digest of every entry of a store, whether it is packed or not.

    Hints at the content of files are left out: files that were written a moment ago get none.
    """
    store = FileStore(root)
    packed, _ = store.packed.find([])
    keys = {path.stem for path in (root / "fresh").glob("*/*.npz")}
    found = {}
    every = sorted(keys | set(packed.table()["key"].to_pylist()))
    for key, told in zip(every, store.known(every), strict=True):
        if told is not None and told.stage == "clip-hint":
            continue
        arrays = store.get(key)
        assert arrays is not None
        digest = hashlib.blake2b()
        for name, array in sorted(arrays.items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
        found[key] = digest.hexdigest()
    return found


def run(
    videos: Path, out: Path, engine: str, *, kills: int, seed: int, workers: int
) -> dict[str, Any]:
    """One selection; its query, its store and what was lost."""
    coming = ahead(
        videos,
        budget="2%",
        strategy="expected-errors",
        cache=out / "store",
        detector="scenes-tiny",
        device="cpu",
        engine=engine,  # type: ignore[arg-type]
        workers=1 if engine == "local" else workers,
    )
    killer = Killer(WORKERS[engine], kills, seed)
    began, cpu = time.perf_counter(), os.times()
    with coming.job.engines.early() as engines:
        prepared = prepare_selection(coming.job.plan, engines=engines)
        result = run_selection(coming.job.plan, prepared, engines=engines, watcher=killer)
    seconds, after = time.perf_counter() - began, os.times()
    write_outputs(Selection(result).result, out / "selection", report=False)
    return {
        "engine": engine,
        "kills": killer.kills,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(sum(after[:4]) - sum(cpu[:4]), 1),
        "frames": prepared.base,
        "lost_frames": killer.lost,
        "lost_share": round(killer.share, 4),
        "query": (out / "selection" / "query.json").read_bytes(),
        "store": entries(out / "store"),
    }


def main() -> None:
    """Run all, print and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, help="clips; default: rendered ones")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engines", default="process,ray")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        videos = asked.videos or place / "scenes" / "clips"
        if asked.videos is None:
            frames = (asked.frames, asked.frames)
            write_scenes(place / "scenes", plan(asked.clips, 7, frames=frames))
        told = []
        for engine in ("local", *asked.engines.split(",")):
            kills = 0 if engine == "local" else asked.kills
            found = run(
                videos,
                place / engine,
                engine,
                kills=kills,
                seed=asked.seed,
                workers=asked.workers,
            )
            query, store = found.pop("query"), found.pop("store")
            if engine == "local":
                expected = query, store
            found["same_query"] = query == expected[0]
            found["same_store"] = store == expected[1]
            found["entries"] = len(store)
            told.append(found)
            print(json.dumps(found, allow_nan=False), flush=True)
    summary = {
        "clips": asked.clips if asked.videos is None else None,
        "frames_a_clip": asked.frames if asked.videos is None else None,
        "workers": asked.workers,
        "runs": told,
    }
    if asked.out is not None:
        asked.out.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", "utf-8")
    sys.exit(0 if all(each["same_query"] and each["same_store"] for each in told) else 1)


if __name__ == "__main__":
    main()
