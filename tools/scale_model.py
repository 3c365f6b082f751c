"""What 1, 8 and 64 GPUs cost and how long they take, from stated assumptions.

    python tools/scale_model.py
    python tools/scale_model.py --frames 1e6 --gpu-hour 1.8 --gpu-fps 160 --workers 8

Prints the tables of docs/scale.md. What was measured says so, what was not is an argument.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields

GPUS = (1, 8, 64)


@dataclass(frozen=True)
class Assumptions:
    """All of them; ``measured`` names those that were."""

    frames: float = 1e7
    clip_frames: float = 120
    gpu_fps: float = 120
    workers: float = 12
    cpu_ms: float = 38.9
    judge_ms: float = 1.5
    open_ms: float = 10
    start_s: float = 60
    select_cpu_s: float = 60
    video_kb: float = 20
    store_kb: float = 5.9
    gpu_hour: float = 2.5
    core_hour: float = 0.04
    gb_month: float = 0.02


WORDS = {
    "frames": "frames of the pool",
    "clip_frames": "frames a clip",
    "gpu_fps": (
        "frames a second that one GPU detects, R50-FPN-v2, bf16, 1080p (assumed: 100 to 200)"
    ),
    "workers": "CPU workers (cores) beside each GPU",
    "cpu_ms": "CPU ms a frame of 1080p: decode and RGB 16.9, flow and links 22 (measured)",
    "judge_ms": "CPU ms a frame: cut, evidence of expected errors, sums (measured, 0.4 to 1.5)",
    "open_ms": "CPU ms a clip that is opened for the first time (goal of the same release)",
    "start_s": "seconds until a worker has its detector (assumed)",
    "select_cpu_s": "CPU seconds of one selection, on one machine (bench_scale.py)",
    "video_kb": "kB of video a frame (assumed: 4 Mbit/s at 25 frames a second)",
    "store_kb": "kB of evidence a frame, with embeddings (bench_scale.py)",
    "gpu_hour": "price of a GPU hour (yours)",
    "core_hour": "price of a core hour (yours)",
    "gb_month": "price of a GB for a month (yours)",
}


@dataclass(frozen=True)
class Told:
    """One column of the table."""

    gpus: int
    rate: float
    busy: float
    hours: float
    gpu_cost: float
    core_cost: float
    read_mb: float
    write_mb: float


def told(given: Assumptions, gpus: int) -> Told:
    """Detection and estimates run side by side; the slower of the two sets the pace."""
    cpu_fps = given.workers * 1000 / (given.cpu_ms + given.judge_ms)
    rate = gpus * min(given.gpu_fps, cpu_fps)
    opening = given.frames / given.clip_frames * given.open_ms / 1000 / (gpus * given.workers)
    hours = (given.frames / rate + opening + given.start_s) / 3600
    return Told(
        gpus,
        rate,
        rate / (gpus * given.gpu_fps),
        hours,
        gpus * hours * given.gpu_hour,
        gpus * given.workers * hours * given.core_hour,
        rate * given.video_kb / 1000,
        rate * given.store_kb / 1000,
    )


def tables(given: Assumptions) -> Iterator[str]:
    """Lines of Markdown: the result, then what it rests on."""
    columns = [told(given, gpus) for gpus in GPUS]
    yield (
        f"| {given.frames:,.0f} frames | " + " | ".join(_gpus(each.gpus) for each in columns) + " |"
    )
    yield "|---|" + "---|" * len(columns)
    for name, values in (
        ("frames a second", [f"{each.rate:,.0f}" for each in columns]),
        ("GPUs busy", [f"{each.busy:.0%}" for each in columns]),
        ("gathering", [_time(each.hours) for each in columns]),
        ("cores", [f"{each.gpus * given.workers:,.0f}" for each in columns]),
        ("GPU hours, price", [f"{e.gpus * e.hours:,.1f}, {e.gpu_cost:,.0f}" for e in columns]),
        ("price of the cores", [f"{each.core_cost:,.1f}" for each in columns]),
        ("video read, MB/s", [f"{each.read_mb:,.1f}" for each in columns]),
        ("evidence written, MB/s", [f"{each.write_mb:,.1f}" for each in columns]),
    ):
        yield f"| {name} | " + " | ".join(values) + " |"
    size = given.frames * given.store_kb / 1e6
    yield ""
    yield (
        f"The store: {size:,.0f} GB, {size * given.gb_month:,.2f} a month. One selection, on one"
        f" machine without a GPU: {given.select_cpu_s:,.0f} CPU seconds,"
        f" {given.select_cpu_s / 3600 * given.core_hour:.4f}."
    )
    yield ""
    yield "| assumption | |"
    yield "|---|---|"
    for each in fields(Assumptions):
        value = getattr(given, each.name)
        yield f"| {WORDS[each.name]} | {value:,.10g} |"


def _gpus(count: int) -> str:
    return f"{count} GPU" + ("" if count == 1 else "s")


def _time(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for each in fields(Assumptions):
        option = f"--{each.name.replace('_', '-')}"
        parser.add_argument(option, type=float, default=each.default, help=WORDS[each.name])
    print("\n".join(tables(Assumptions(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
