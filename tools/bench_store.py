"""The evidence store against a bare npz file an entry: seconds, and bytes a frame by stage.

    python tools/bench_store.py [--videos DIR] [--clips 400] [--json tools/results/store.json]

Evidence of clips is gathered by `vidal select` (rendered clips, or those of ``--videos``), and
repeated with other numbers in the last places until there are as many clips as are asked for: real
entries, of which no two are alike. They are put and packed; beside it, in the same run, every entry
is written with `numpy.savez` and read with `numpy.load`. Then everything is scanned, 20 clips are
read one by one, and what is known of 10,000 clips is asked for. CPU seconds are of this process,
system time included; nothing is flushed to the disk on either side, since that is the disk's time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.store import FileStore, content_key
from vidal.store.columns import Entry
from vidal.store.manifest import entries_of, write_part
from vidal.store.packing import pack_all
from vidal.store.shard import write_shard
from vidal.types import Stored

ONE_BY_ONE, KNOWN = 20, 10_000
STAGES = ("detections", "estimate", "expected", "carried", "summary", "prints")
Arrays = dict[str, NDArray[Any]]


def evidence(videos: Path | None, work: Path) -> list[list[tuple[Stored, Arrays]]]:
    """Clip by clip, the entries that a run left of it."""
    if videos is None:
        videos = work / "scenes"
        render = ["scenes", "--out", str(videos), "--clips", "4", "--frames", "120-120", "--quiet"]
        vidal(*render)
    told = ["--strategy", "expected-errors", "--budget", "4", "--detector", "scenes-tiny"]
    where = ["--videos", str(videos), "--out", str(work / "out"), "--cache", str(work / "cache")]
    vidal("select", *where, *told, "--device", "cpu", "--no-report", "--quiet")
    store = FileStore(work / "cache")
    keys = [file.key for file in store.fresh.files()]
    by_clip: dict[str, list[tuple[Stored, Arrays]]] = {}
    for key, about in zip(keys, store.known(keys), strict=True):
        if about is not None and about.stage in STAGES:
            arrays = store.get(key)
            by_clip.setdefault(about.clip, []).append((about, dict(arrays or {})))
    return [by_clip[clip] for clip in sorted(by_clip)]


def vidal(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "vidal", *arguments], check=True, stdout=sys.stderr)


def varied(array: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """The same but for the last places of numbers that are not 0, 1 or unknown."""
    if array.dtype.kind != "f" or not array.size:
        return array
    changed = array * (1 + 1e-3 * rng.standard_normal(array.shape)).astype(array.dtype)
    fixed = np.isin(array, (0, 1)) | ~np.isfinite(array)
    return np.where(fixed, array, changed.astype(array.dtype))


def entries(
    clips: list[list[tuple[Stored, Arrays]]], count: int
) -> Iterator[tuple[str, Stored, Arrays]]:
    """Of so many clips, made of those that there are."""
    for number in range(count):
        rng = np.random.default_rng(number)
        for about, arrays in clips[number % len(clips)]:
            key = content_key(about.stage, 1, [number], {})
            mine = {name: varied(array, rng) for name, array in arrays.items()}
            yield key, replace(about, clip=f"clip-{number:06d}"), mine


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """CPU and wall seconds."""
    began, spent = time.perf_counter(), time.process_time()
    work()
    cpu, wall = time.process_time() - spent, time.perf_counter() - began
    return {"cpu_s": round(cpu, 3), "wall_s": round(wall, 3)}


def unflushed(handle: int) -> None:
    """Nothing."""


def compare(root: Path, clips: list[list[tuple[Stored, Arrays]]], count: int) -> dict[str, Any]:
    """Writing, scanning and single clips, of the store and of bare files."""
    made = list(entries(clips, count))
    bare, store = root / "bare", FileStore(root / "store")

    def path(key: str) -> Path:
        return bare / key[:2] / f"{key}.npz"

    def save() -> None:
        for key, _, arrays in made:
            path(key).parent.mkdir(parents=True, exist_ok=True)
            np.savez(path(key), allow_pickle=False, **arrays)

    def load(keys: list[str]) -> None:
        for key in keys:
            with np.load(path(key)) as file:
                _ = {name: file[name] for name in file.files}

    def put() -> None:
        for key, about, arrays in made:
            store.put(key, arrays, about)

    keys = {stage: [key for key, about, _ in made if about.stage == stage] for stage in STAGES}
    some = np.random.default_rng(0).choice(count, ONE_BY_ONE, replace=False)
    few = [keys[stage][at] for stage in ("detections", "expected") for at in some]
    result = {
        "write": {"bare": timed(save), "put": timed(put), "pack": timed(lambda: pack_all(store))},
        "scan": {},
        "one_by_one": {"bare": timed(lambda: load(few))},
        "bytes_a_frame": bytes_a_frame(store, made),
    }
    reader = FileStore(root / "store")
    result["one_by_one"]["store"] = timed(lambda: [reader.get(key) for key in few])
    for stage in ("detections", "expected", "summary"):
        reader = FileStore(root / "store")
        result["scan"][stage] = {
            "bare": timed(lambda mine=keys[stage]: load(mine)),
            "store": timed(lambda s=reader, mine=keys[stage]: sum(1 for _ in s.scan(mine))),
        }
    return result


def bytes_a_frame(
    store: FileStore, made: list[tuple[str, Stored, Arrays]]
) -> dict[str, dict[str, float]]:
    """By stage, on disk and in memory; the manifest beside them."""
    frames = sum(about.stop - about.start for _, about, _ in made if about.stage == "detections")
    found = {}
    for stage in STAGES:
        raw = sum(
            a.nbytes for _, about, arrays in made if about.stage == stage for a in arrays.values()
        )
        disk = sum(p.stat().st_size for p in (store.root / "shards").glob(f"{stage}-*"))
        found[stage] = {"raw": round(raw / frames, 1), "store": round(disk / frames, 1)}
    parts = sum(path.stat().st_size for path in (store.root / "manifest").iterdir())
    found["manifest"] = {"raw": 0.0, "store": round(parts / frames, 1)}
    found["all"] = {
        kind: round(sum(each[kind] for each in found.values()), 1) for kind in ("raw", "store")
    }
    return found


def known(root: Path) -> dict[str, Any]:
    """What is known of 10,000 clips of six entries, in a process of its own; and of bare files.

    Bare files are opened and their arrays listed, which is what it takes to know that they are
    whole; one in ten of them is there, and the time is multiplied.
    """
    classes = [f"class {number}" for number in range(80)]
    rng = np.random.default_rng(0)
    small = {"a": np.zeros(4, np.float32)}
    for stage in STAGES:
        shard = (
            Entry(
                content_key(stage, 1, [n], {}),
                Stored(stage, f"clip-{n}", 0, 1000, n, {"classes": classes, "x": rng.random()}),
                n,
                small,
            )
            for n in range(KNOWN)
        )
        made = write_shard(root / "store" / "shards", stage, [[("a", "<f4")]], shard)
        assert made is not None
        write_part(root / "store" / "manifest", entries_of(made[0].name, made[1]))
    (root / "bare").mkdir()
    files = [root / "bare" / f"{n}.npz" for n in range(KNOWN * len(STAGES) // 10)]
    for file in files:
        np.savez(file, allow_pickle=False, **small)

    def listed() -> None:
        for file in files:
            with np.load(file) as opened:
                _ = opened.files

    bare = timed(listed)
    code = (
        "import sys, time, json\n"
        "from vidal.store import FileStore, content_key\n"
        f"keys = [content_key(s, 1, [n], {{}}) for n in range({KNOWN}) for s in {STAGES}]\n"
        "began, spent = time.perf_counter(), time.process_time()\n"
        "told = list(FileStore(sys.argv[1]).known(keys))\n"
        "assert None not in told\n"
        "print(json.dumps({'cpu_s': round(time.process_time() - spent, 3),"
        " 'wall_s': round(time.perf_counter() - began, 3)}))\n"
    )
    asking = [sys.executable, "-c", code, str(root / "store")]
    done = subprocess.run(asking, check=True, capture_output=True, text=True)
    return {
        "clips": KNOWN,
        "entries": KNOWN * len(STAGES),
        "bare": {name: round(10 * value, 3) for name, value in bare.items()},
        "store": json.loads(done.stdout),
    }


def described(clips: list[list[tuple[Stored, Arrays]]], count: int) -> dict[str, Any]:
    """Where and on what it is measured."""
    tables = [a for clip in clips for a, _ in clip if a.stage == "detections"]
    frames = [about.stop - about.start for about in tables]
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "python": platform.python_version(),
        "clips": count,
        "frames": sum(frames[number % len(frames)] for number in range(count)),
        "boxes_a_frame": round(sum(about.rows for about in tables) / sum(frames), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=Path, default=None)
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    os.fsync = unflushed
    work = Path(tempfile.mkdtemp(prefix="bench-store-"))
    try:
        clips = evidence(options.videos, work)
        result = {**described(clips, options.clips), **compare(work / "a", clips, options.clips)}
        result["known"] = known(work / "b")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    result["ratios"] = ratios(result)
    text = json.dumps(result, indent=2, allow_nan=False)
    if options.json is not None:
        options.json.write_text(text + "\n", "utf-8")
    print(text)


def ratios(result: dict[str, Any]) -> dict[str, float]:
    """CPU seconds of the store by those of bare files; bytes by bytes in memory."""
    write, scan, size = result["write"], result["scan"], result["bytes_a_frame"]["all"]
    cpu = {
        "write": (write["put"]["cpu_s"] + write["pack"]["cpu_s"], write["bare"]["cpu_s"]),
        **{f"scan {s}": (e["store"]["cpu_s"], e["bare"]["cpu_s"]) for s, e in scan.items()},
        **{
            name: (result[name]["store"]["cpu_s"], result[name]["bare"]["cpu_s"])
            for name in ("one_by_one", "known")
        },
        "bytes": (size["store"], size["raw"]),
    }
    return {name: round(one / max(other, 1e-3), 3) for name, (one, other) in cpu.items()}


if __name__ == "__main__":
    main()
