"""Progress of long work: live bars with ETA on a terminal or in a notebook, plain lines elsewhere.

On stderr, so that what a command prints can be piped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from vidal.words import counted, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


_EVERY = 5.0
"""Seconds between two lines of a count."""


def clock(seconds: float) -> str:
    """``75`` -> ``1:15``, ``3700`` -> ``1:01:40``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class ClipProgress:
    """How far each clip is. A context manager; ``advance`` is what engines call.

    Args:
        title: what is being done.
        names: of the clips, in order.
        frames: of each clip.
        quiet: print nothing.
        unit: what is counted (one of it), in the lines of finished clips; empty = not said.
    """

    def __init__(
        self,
        title: str,
        names: Sequence[str],
        frames: Sequence[int],
        *,
        quiet: bool = False,
        unit: str = "frame",
    ) -> None:
        self._title = title
        self._unit = unit
        self._names = names
        self._frames = frames
        self._done = [0] * len(names)
        self._finished = 0
        self._quiet = quiet
        self._began = time.monotonic()
        self._bars: Progress | None = None
        self._overall: TaskID | None = None
        self._of_clip: dict[int, TaskID] = {}

    def __enter__(self) -> Self:
        if not self._quiet and shows_bars():
            self._open_bars()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def advance(self, item: int, done: int, total: int) -> None:
        """Clip ``item`` has ``done`` of ``total`` frames."""
        self._done[item] = min(done, self._frames[item])
        if self._bars is None or self._overall is None:
            return
        if item not in self._of_clip:
            self._of_clip[item] = self._bars.add_task(self._names[item], total=total)
        self._bars.update(self._of_clip[item], completed=done)
        self._bars.update(self._overall, completed=sum(self._done))

    def finish(self, item: int, remark: str = "") -> None:
        """Clip ``item`` is done."""
        self._done[item] = self._frames[item]
        self._finished += 1
        if self._bars is not None and self._overall is not None:
            if item in self._of_clip:
                self._bars.remove_task(self._of_clip.pop(item))
            self._bars.update(self._overall, completed=sum(self._done))
        elif not self._quiet:
            click.echo(self._line(item, remark), err=True)

    def _line(self, item: int, remark: str) -> str:
        gone = time.monotonic() - self._began
        done, total = sum(self._done), sum(self._frames)
        left = gone / done * (total - done) if done else 0.0
        eta = f", ETA {clock(left)}" if self._finished < len(self._names) else ""
        note = f" ({printable(remark)})" if remark else ""
        count = f": {counted(self._frames[item], self._unit)}" if self._unit else ""
        done_of = f"[{self._finished}/{len(self._names)}]"
        return f"{self._title} {done_of} {self._names[item]}{count}{note}{eta}"

    def _open_bars(self) -> None:
        self._bars = stage_bars()
        self._overall = self._bars.add_task(self._title, total=sum(self._frames))
        self._bars.start()


class Count:
    """How many of a number of things are done: a bar on a terminal, else a line now and then.

    A context manager; calling it with (done, total) tells it.

    Args:
        title: what is being done.
        unit: what is counted (one of it).
        quiet: print nothing.
    """

    def __init__(self, title: str, unit: str, *, quiet: bool = False) -> None:
        self._title, self._unit, self._quiet = title, unit, quiet
        self._bars: Progress | None = None
        self._bar: TaskID | None = None
        self._first: tuple[float, int] | None = None
        self._said = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` are done; the first call says how many were done before."""
        now = time.monotonic()
        if self._quiet or self._first is None:
            self._first = self._first or (now, done)
            return
        if shows_bars():
            self._show(done, total)
        elif done >= total or now - self._said >= _EVERY:
            self._said = now
            began, before = self._first
            left = (now - began) / max(done - before, 1) * (total - done)
            eta = f", ETA {clock(left)}" if done < total else ""
            count = counted(total, self._unit)
            click.echo(f"{self._title}: {done:,} of {count}{eta}", err=True)

    def _show(self, done: int, total: int) -> None:
        if self._bars is None:
            self._bars = stage_bars()
            self._bar = self._bars.add_task(self._title, total=total)
            self._bars.start()
        if self._bar is not None:
            self._bars.update(self._bar, completed=done, total=total)


def shows_bars() -> bool:
    """Whether stderr is a terminal, or a notebook shows what is printed."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def stage_bars() -> Progress:
    """Bars with counts, elapsed time and ETA, on stderr; they vanish when done."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
