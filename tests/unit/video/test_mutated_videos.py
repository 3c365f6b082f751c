"""Damaged copies of clips of every container: vidal's own errors or right frames, nothing else.

A mutation overwrites, zeroes, removes, repeats or cuts bytes. Whatever comes of it:

- only ``UnreadableClip`` is raised, in bounded time and memory;
- frames that decode show a number that was stamped into the clip;
- where bytes within packets were overwritten and nothing was moved, frames far from them keep their
  ordinals.

``VIDAL_SLOW=1 VIDAL_MUTATIONS=5000 pytest -m slow`` tries that many in a child process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from stamped import CLIPS, X265, B, encode, stamped

from vidal.errors import UnreadableClip
from vidal.video import open_clip, read_frame, read_frames

FRAMES = 40
SECONDS = 10.0
MEGABYTES = 500

VP9 = {"g": "12", "deadline": "realtime", "cpu-used": "8"}
BASES: dict[str, dict[str, Any]] = {
    "h264.mp4": {"options": B},
    "faststart.mp4": {"options": B, "container": {"movflags": "faststart"}},
    "fragmented.mp4": CLIPS["h264_fragmented.mp4"],
    "h264.mkv": {"options": B},
    "h264.ts": {"options": {**B, "g": "12"}},
    "h264.avi": {"options": B},
    "h264.flv": {"options": B},
    "raw.h264": {"options": {**B, "g": "12"}},
    "raw.hevc": {"codec": "libx265", "options": X265},
    "hevc.mp4": {"codec": "libx265", "options": X265},
    "mpeg4.avi": CLIPS["mpeg4.avi"],
    "mpeg2.mpg": CLIPS["mpeg2.mpg"],
    "mjpeg.avi": CLIPS["mjpeg.avi"],
    "vp9.webm": {"codec": "libvpx-vp9", "options": VP9},
    "vp8.webm": {"codec": "libvpx", "options": {"g": "12", "deadline": "realtime"}},
}
KINDS = ("noise", "zeros", "header", "bits", "remove", "repeat", "cut", "packet")


def mutate(data: bytes, kind: str, packets: list[bytes], rng: np.random.Generator) -> bytes:
    """A damaged copy; ``packet``: noise within the data of one packet, all else as it was."""
    hurt = bytearray(data)
    size = int(rng.choice([1, 4, 16, 100, 700]))
    at = int(rng.integers(0, max(1, len(hurt) - size)))
    if kind == "header":
        at, size = int(rng.integers(0, min(1500, len(hurt) - 8))), int(rng.integers(1, 8))
    if kind == "packet":
        within = packets[int(rng.integers(len(packets)))]
        start = int(rng.integers(60, len(within) - 60))
        at, size = hurt.find(within[start : start + 40]), 40
        if at < 0:  # a container that divides packets divides this piece
            return data
    noise = rng.integers(1, 256, size, dtype=np.uint8).tobytes()
    if kind in ("noise", "header", "packet"):
        hurt[at : at + size] = noise
    elif kind == "zeros":
        hurt[at : at + size] = bytes(size)
    elif kind == "bits":
        for place in rng.integers(0, len(hurt), 6):
            hurt[place] ^= 1 << int(rng.integers(8))
    elif kind == "remove":
        del hurt[at : at + size]
    elif kind == "repeat":
        hurt[at:at] = hurt[at : at + size]
    else:
        del hurt[at:]
    return bytes(hurt)


def examine(path: Path, name: str, kind: str) -> str:
    """What became of a mutated clip, in a word; what must not be begins with ``WRONG``."""
    started = time.monotonic()
    try:
        clip = open_clip(path)
        shown = {frame.ref.index: _number(frame.image) for frame in read_frames(clip)}
        if clip.frames:
            middle = read_frame(clip, clip.frames // 2)
            shown_by_seek = _number(middle.image)
            seen = shown.get(clip.frames // 2)
            if None not in (seen, shown_by_seek) and seen != shown_by_seek and kind == "packet":
                return "WRONG: a seek shows another frame"
    except UnreadableClip:
        outcome = "refused"
    except Exception as error:
        return f"WRONG: {type(error).__name__}: {error}"[:200]
    else:
        outcome = "read"
        if kind == "packet":
            outcome = _renumbered(shown, clip.frames, clip.truncated)
    if time.monotonic() - started > SECONDS:
        return "WRONG: took too long"
    return outcome


def _number(image: np.ndarray) -> int | None:
    """The stamped number; None where the picture is damaged."""
    try:
        number = stamped(image)
    except AssertionError:
        return None
    return number if number < FRAMES else None


def _renumbered(shown: dict[int, int | None], frames: int, truncated: int) -> str:
    """Whether frames moved, of a clip in which the data of one packet were damaged.

    Predicted frames go wrong up to the next keyframe; before and after it they must be right.
    """
    if frames + truncated != FRAMES:
        return f"WRONG: {frames} + {truncated} frames of {FRAMES}"
    moved = [index for index, number in shown.items() if number is not None and number != index]
    right = sum(number == index for index, number in shown.items())
    if moved and max(moved) == FRAMES - 1 and len(moved) > right:
        return "WRONG: later frames moved"
    return "read"


def try_all(folder: Path, count: int, seed: int) -> Counter[str]:
    """Outcomes of ``count`` mutations spread over all clips and kinds."""
    clips: dict[str, tuple[bytes, list[bytes]]] = {}
    for name, how in BASES.items():
        path = encode(folder / name, frames=FRAMES, **how)
        with av.open(str(path)) as container:
            packets = [bytes(each) for each in container.demux(video=0) if each.size > 200]
        # A bare stream without its first parameters is one that starts between keyframes.
        clips[name] = path.read_bytes(), packets[name.startswith("raw") :]
    rng = np.random.default_rng(seed)
    outcomes: Counter[str] = Counter()
    for number in range(count):
        name = list(BASES)[number % len(BASES)]
        kind = KINDS[number // len(BASES) % len(KINDS)]
        data, packets = clips[name]
        path = folder / f"hurt_{name}"
        path.write_bytes(mutate(data, kind, packets, rng))
        outcome = examine(path, name, kind)
        outcomes[outcome if not outcome.startswith("WRONG") else f"{outcome} ({number})"] += 1
        if outcome.startswith("WRONG"):
            path.rename(folder / f"wrong_{number}_{kind}_{name}")
    return outcomes


def wrong(outcomes: Counter[str]) -> list[str]:
    return sorted(outcome for outcome in outcomes if outcome.startswith("WRONG"))


def test_mutated_clips_are_read_rightly_or_refused(tmp_path: Path) -> None:
    outcomes = try_all(tmp_path, len(BASES) * len(KINDS), seed=1)
    assert not wrong(outcomes)
    assert outcomes["read"] > 40
    assert outcomes["refused"] > 5


@pytest.mark.parametrize(
    ("kind", "change"),
    [("swapped", lambda n: {3: 30, 30: 3}.get(n, n)), ("shifted", lambda n: n + (n > 9))],
)
def test_examination_would_notice_moved_frames(kind: str, change: Callable[[int], int]) -> None:
    shown: dict[int, int | None] = {n: change(n) for n in range(FRAMES - 1)}
    assert (_renumbered(shown, FRAMES - 1, 0) != "read") is True
    if kind == "shifted":
        shown = {n: max(n - (n > 9), 0) for n in range(FRAMES)}
        assert _renumbered(shown, FRAMES, 0) == "WRONG: later frames moved"


_CHILD = """
import json, resource, sys
sys.path.insert(0, sys.argv[1])
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from pathlib import Path
import test_mutated_videos as mutated
outcomes = mutated.try_all(Path(sys.argv[2]), int(sys.argv[3]), seed=2)
print(json.dumps([outcomes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""


@pytest.mark.slow
@pytest.mark.skipif("VIDAL_SLOW" not in os.environ, reason="slow: VIDAL_SLOW=1 runs it")
def test_thousands_of_mutations_stay_within_memory(tmp_path: Path) -> None:
    count = os.environ.get("VIDAL_MUTATIONS", "1000")
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(Path(__file__).parent), str(tmp_path), count],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30,) * 2),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes, megabytes = json.loads(done.stdout)
    print(count, "mutations:", outcomes, megabytes, "MB at most")
    assert not wrong(Counter(outcomes))
    assert megabytes < MEGABYTES
