"""Peak memory of `vidal select` on one clip, and on one that is ten times longer.

    python tools/bench_memory.py [--frames 100] [--times 10] [--json FILE]

Peak resident memory of the largest process of the run, as the operating system accounts for it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path


def run(arguments: list[str]) -> float:
    """Largest resident memory, in MiB, of any process of a vidal command."""
    program = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 'vidal', *sys.argv[1:]], check=True,"
        " stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    """Render two clips, select from each, print both peaks and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for frames in (given.frames, given.frames * given.times):
            root = Path(folder) / str(frames)
            run(
                [
                    "scenes",
                    "--out",
                    str(root),
                    "--clips",
                    "1",
                    "--seed",
                    "5",
                    "--quiet",
                    "--frames",
                    f"{frames}-{frames}",
                ]
            )
            peaks[frames] = run(
                [
                    "select",
                    "--videos",
                    str(root / "clips"),
                    "--detector",
                    "scenes-tiny",
                    "--device",
                    "cpu",
                    "--budget",
                    "2%",
                    "--quiet",
                    "--out",
                    str(root / "out"),
                ]
            )
    short, long = peaks.values()
    result = {"peak_mib": peaks, "ratio": long / short, "page_size": resource.getpagesize()}
    print(json.dumps(result, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
