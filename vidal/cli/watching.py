"""``vidal status --watch``: what a command in another process is doing, as it goes on."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vidal.api.progress import clock
from vidal.words import counted, size_words

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

EVERY = 1.0
"""Seconds between two looks, on a terminal."""
PLAIN = 5.0
"""The same where lines are printed one below the other."""
QUIET = 10.0
"""Seconds without a sign of life that are worth a word."""


def running_lines(told: dict[str, Any] | None, now: float) -> list[str]:
    """What runs in a folder, in words; nothing where nothing does.

    Args:
        told: as ``vidal.campaign.status.describe`` has it.
        now: seconds since 1970.
    """
    if told is None:
        return []
    about = "" if told["round"] is None else f" of round {told['round']}"
    ago = max(0.0, now - told["beat"])
    if told["state"] == "gone":
        return [
            f"not running any more: vidal {told['command']}{about} (process {told['pid']}) ended"
            f" {clock(ago)} ago without a word; run it again, and it goes on"
        ]
    place = f"process {told['pid']}"
    if told["state"] == "elsewhere":
        place += f" on {told['host']}"
    device = f", on {told['device']}" if told["device"] else ""
    lines = [
        f"running: vidal {told['command']}{about}, for {clock(max(0.0, now - told['began']))}"
        f"{device} ({place})",
        f"  {work_words(told['work'], ago)}",
    ]
    if ago > QUIET:
        lines.append(f"  last heard of {clock(ago)} ago")
    return lines


def work_words(work: dict[str, Any], ago: float = 0.0) -> str:
    """``scanning: 3 of 40 clips, 345 of 10,000 frames (3 %), 41.2 frames/s, ETA 3:55``."""
    parts = []
    if work["items"]:
        parts.append(f"{work['items_done']:,} of {counted(work['items'], work['item'])}")
    if work["total"] and (work["unit"] or not work["items"]):
        share = f" ({100 * work['done'] // work['total']} %)"
        total = counted(work["total"], work["unit"]) if work["unit"] else f"{work['total']:,}"
        parts.append(f"{work['done']:,} of {total}{share}")
    elif work["total"]:
        parts.append(f"{100 * work['done'] // work['total']} %")
    if work["rate"] and work["unit"]:
        parts.append(f"{work['rate']:,.1f} {work['unit']}s/s")
    if work["left"] is not None and work["done"] < work["total"]:
        parts.append(f"ETA {clock(max(0.0, work['left'] - ago))}")
    return work["stage"] + (f": {', '.join(parts)}" if parts else "")


def disk_line(disk: dict[str, Any]) -> str:
    """``disk: evidence 1.2 GB, 30 GB free``."""
    free = "" if disk["free"] is None else f", {size_words(disk['free'])} free"
    return f"disk: evidence {size_words(disk['evidence'])}{free}"


Look = Callable[[], tuple[Sequence[str], "dict[str, Any] | None"]]
"""What is shown now, and what runs."""


def watch(look: Look) -> None:
    """Show it again and again, until the user ends it with Ctrl-C.

    On a terminal it is drawn anew in place, with a bar; elsewhere, and on terminals that cannot
    move, what runs is printed line by line where it has changed.
    """
    try:
        if sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
            _live(look)
        else:
            _plain(look)
    except KeyboardInterrupt:
        return


def _live(look: Look) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            lines, told = look()
            live.update(_drawn(console, lines, told), refresh=True)
            time.sleep(EVERY)


def _drawn(console: Console, lines: Sequence[str], told: dict[str, Any] | None) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    parts: list[RenderableType] = [Text(line, no_wrap=False) for line in lines]
    work = None if told is None or told["state"] == "gone" else told["work"]
    if work is not None and work["total"]:
        width = min(console.width, 60)
        parts.append(ProgressBar(total=work["total"], completed=work["done"], width=width))
    parts.append(Text("Ctrl-C ends watching; what runs goes on.", style="dim"))
    return Group(*parts)


def _plain(look: Look) -> None:
    last: list[str] = []
    while True:
        lines, told = look()
        now = running_lines(told, time.time()) or ["nothing is running"]
        shown = now if last else [*lines]
        if now != last:
            print("\n".join(shown), flush=True)
        last = now
        time.sleep(PLAIN)
