"""Throughput of a whole `vidal select` against the bare forward loop of the same detector.

    python tools/bench_select.py [--clips 8] [--frames 250] [--repeats 3] [--json FILE]

Both run as whole processes in turn, on the same frames, with the same batch and the same number of
threads in all. The bare loop has its frames in memory and is timed from its first batch to its
last; `vidal select` is timed from start to exit: interpreter, imports, decoding, detection, flow,
linking, cut, selection, pictures and report. vidal's modules are compiled first, as an installer
does. The bare loop is measured both ways of using the cores: one process with all threads, and one
single-threaded process a core; the ratio is given to the faster of the two as well. On a machine
that others use, wall time says little: the core time (user and system, of all processes) is
measured beside it, and compared in the same way.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import vidal

BATCH = 4


def bare_loop(videos: Path, threads: int, share: int, shares: int) -> None:
    """Forward passes over the frames of every ``shares``-th clip; prints the seconds they took."""
    import torch

    from vidal.detect.load import load_detector
    from vidal.video import find_clips, open_clip, read_frames

    torch.set_num_threads(threads)
    detector = load_detector("scenes-tiny", device="cpu")
    frames = [
        frame
        for path in find_clips(videos)[share::shares]
        for frame in read_frames(open_clip(path))
    ]
    detector.detect(frames[:BATCH])
    sys.stdin.readline()
    began, worked = time.perf_counter(), time.process_time()
    for start in range(0, len(frames), BATCH):
        detector.detect(frames[start : start + BATCH])
    spent = {"seconds": time.perf_counter() - began, "core_s": time.process_time() - worked}
    print(json.dumps({**spent, "frames": len(frames)}))


def time_bare(videos: Path, processes: int, cores: int) -> tuple[float, float]:
    """Frames a second, and core seconds, of ``processes`` bare loops that start together."""
    crew = [
        subprocess.Popen(
            [
                sys.executable,
                __file__,
                "--bare",
                str(videos),
                str(cores // processes),
                str(number),
                str(processes),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    time.sleep(12)  # let all of them decode their frames before any begins
    for member in crew:
        assert member.stdin is not None
        member.stdin.write("go\n")
        member.stdin.flush()
    results = [json.loads(member.communicate()[0]) for member in crew]
    rate = sum(entry["frames"] for entry in results) / max(e["seconds"] for e in results)
    return rate, sum(entry["core_s"] for entry in results)


def time_select(videos: Path, strategy: str, out: Path, *, keep: bool) -> tuple[float, float]:
    """Seconds, and core seconds, of a whole `vidal select`."""
    if not keep:
        shutil.rmtree(out, ignore_errors=True)
    began, worked = time.perf_counter(), _children()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "vidal",
            "select",
            "--videos",
            str(videos),
            "--budget",
            "2%",
            "--detector",
            "scenes-tiny",
            "--device",
            "cpu",
            "--batch",
            str(BATCH),
            "--quiet",
            "--strategy",
            strategy,
            "--out",
            str(out),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began, _children() - worked


def _children() -> float:
    """Core seconds of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _compared(row: dict[str, float], frames: int) -> dict[str, float]:
    """A row with the ratios."""
    fps = frames / row["select_s"]
    return {
        **row,
        "select_fps": fps,
        "ratio_threads": fps / row["bare_threads_fps"],
        "ratio_processes": fps / row["bare_processes_fps"],
        "ratio_threads_core": row["bare_threads_core_s"] / row["select_core_s"],
        "ratio_processes_core": row["bare_processes_core_s"] / row["select_core_s"],
        "again_share": row["again_s"] / row["select_s"],
        "again_share_core": row["again_core_s"] / row["select_core_s"],
    }


def main() -> None:
    """Render, measure in turn, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--bare", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        videos, threads, share, shares = given.bare
        bare_loop(Path(videos), int(threads), int(share), int(shares))
        return
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", str(Path(vidal.__file__).parent)], check=True
    )
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()
    total = given.clips * given.frames
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "vidal",
                "scenes",
                "--out",
                str(root),
                "--clips",
                str(given.clips),
                "--frames",
                f"{given.frames}-{given.frames}",
                "--seed",
                "11",
                "--quiet",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        videos, out = root / "clips", root / "out"
        for _ in range(given.repeats):
            measured = {
                ("select_s", "select_core_s"): time_select(
                    videos, "expected-errors", out, keep=False
                ),
                ("again_s", "again_core_s"): time_select(videos, "entropy", out, keep=True),
                ("bare_threads_fps", "bare_threads_core_s"): time_bare(videos, 1, cores),
                ("bare_processes_fps", "bare_processes_core_s"): time_bare(videos, cores, cores),
            }
            row = {
                name: value
                for names, values in measured.items()
                for name, value in zip(names, values, strict=True)
            }
            row = _compared(row, total)
            rows.append(row)
            print(json.dumps({name: round(value, 3) for name, value in row.items()}), flush=True)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    import torch

    result = {
        "machine": {"cores": cores, "processor": platform.machine(), "system": platform.system()},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "frames": total,
        "batch": BATCH,
        "load_before": load,
        "seed": 11,
        "medians": medians,
        "rows": rows,
    }
    print(json.dumps(medians, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
