"""Shows how far a run is, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from vidal.api.progress import ClipProgress, clock, shows_bars, stage_bars
from vidal.campaign.heartbeat import NOBODY, Heartbeat, Item
from vidal.words import counted, distinct

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vidal.engine import Listener
    from vidal.types import Clip

_EVERY = 5.0
"""Seconds between two lines of progress of a training."""


class Console:
    """The watcher of a selection. A context manager.

    What it is told it also tells the heartbeat, whether or not it shows anything.
    """

    def __init__(self, *, quiet: bool = False, beat: Heartbeat = NOBODY) -> None:
        self._quiet = quiet
        self._beat = beat
        self._frames: list[int] = []
        self._left = 0
        self._written = ""
        self._began = self._said = 0.0
        self._stack = ExitStack()
        self._progress: ClipProgress | None = None
        self._bars: Progress | None = None
        self._stages: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def begin(self, clips: Sequence[Clip], known: int) -> None:
        """Open the bars."""
        self._frames, self._left = [clip.frames for clip in clips], len(clips)
        count = len(clips)
        self._beat.stage("scanning", sum(self._frames), unit="frame", items=count, item="clip")
        if known and not self._quiet:
            kept = f"evidence of {counted(known, 'clip')} is kept from an earlier run"
            click.echo(kept, err=True)
        self._progress = self._stack.enter_context(
            ClipProgress(
                "scanning",
                distinct([clip.path for clip in clips]),
                [clip.frames for clip in clips],
                quiet=self._quiet,
            )
        )

    def advance(self, item: int, done: int, total: int) -> None:
        """Move a clip's bar."""
        self._beat.advance(item, done)
        if self._progress is not None:
            self._progress.advance(item, done, total)

    def writing(self, stage: str, done: int, total: int) -> None:
        """The outputs are being written: a bar for each stage, or a line now and then."""
        if stage != self._written:
            self._written = stage
            self._began = self._said = time.monotonic()
            self._beat.stage(f"writing {stage}", total)
        self._beat.at(done, total)
        if self._quiet:
            return
        if not shows_bars():
            self._line(stage, done, total)
            return
        if self._bars is None:
            self._bars = self._stack.enter_context(stage_bars())
        if stage not in self._stages:
            self._stages[stage] = self._bars.add_task(f"writing {stage}", total=total)
        self._bars.update(self._stages[stage], completed=done, total=total)

    def _line(self, stage: str, done: int, total: int) -> None:
        """Nothing of stages that take a few seconds."""
        now = time.monotonic()
        if 0 < done < total and now - self._said >= _EVERY:
            self._said = now
            left = clock((now - self._began) / done * (total - done))
            click.echo(f"writing {stage}: {done:,} of {total:,}, ETA {left}", err=True)

    def finish(self, item: int, remark: str) -> None:
        """A clip is done."""
        self._left -= 1
        self._beat.finish(item, self._frames[item])
        if not self._left:
            self._beat.stage("choosing")
        if self._progress is not None:
            self._progress.finish(item, remark)


class Bars:
    """Tells of the stages of a simulation. A context manager."""

    def __init__(self, *, quiet: bool, beat: Heartbeat = NOBODY) -> None:
        self._quiet = quiet
        self._beat = beat
        self._units: Sequence[int] = ()
        self._stack = ExitStack()
        self._progress: ClipProgress | None = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self, title: str, names: Sequence[str], units: Sequence[int]) -> Listener:
        """Open the bars of a stage."""
        self._units = units
        kind: Item = "run" if title != "pool" else "clip"
        self._beat.stage(title, sum(units), items=len(units), item=kind)
        progress = ClipProgress(title, names, units, quiet=self._quiet, unit="")
        self._progress = self._stack.enter_context(progress)

        def advance(item: int, done: int, total: int) -> None:
            self._beat.advance(item, done)
            progress.advance(item, done, total)

        return advance

    def finish(self, item: int) -> None:
        """An item is done."""
        self._beat.finish(item, self._units[item])
        if self._progress is not None:
            self._progress.finish(item)

    def end(self) -> None:
        """Close the bars of the stage."""
        self._stack.close()
        self._progress = None


class Lines:
    """Loss and time left: one line that is overwritten on a terminal, else a line now and then.

    ``std`` is shown beside ``healthy`` where a training tells them, see ``vidal.pretrain``.
    """

    def __init__(
        self, title: str = "training", *, quiet: bool = False, beat: Heartbeat = NOBODY
    ) -> None:
        self._title = title
        self._quiet = quiet
        self._beat = beat
        self._told = False
        self._began = time.monotonic()
        self._first: float | None = None
        self._said = 0.0
        self._live = sys.stderr.isatty()

    def begin(self) -> None:
        """The work that is told of begins now: its time left counts from here."""
        self._began = time.monotonic()

    def __call__(self, at: Mapping[str, float]) -> None:
        if not self._told:
            self._beat.stage(self._title, unit="step")
            self._told = True
        self._beat.at(int(at["step"]), int(at["steps"]))
        if self._quiet:
            return
        now, last = time.monotonic(), at["step"] >= at["steps"]
        if self._first is None:
            self._first = at["step"] - 1
        wait = 0.2 if self._live else _EVERY
        if not last and self._said and now - self._said < wait:
            return
        self._said = now
        left = (now - self._began) / (at["step"] - self._first) * (at["steps"] - at["step"])
        epoch = f" epoch {at['epoch']:.0f}/{at['epochs']:.0f}" if "epoch" in at else ""
        step = f"step {at['step']:.0f}/{at['steps']:.0f}"
        loss = f"loss {at['loss']:.4f}, " if "loss" in at else ""
        if "std" in at:
            loss += f"std of z {at['std']:.4f} (healthy {at['healthy']:.4f}), "
        line = f"{self._title}{epoch} {step}: {loss}ETA {clock(left)}"
        if self._live:
            click.echo(f"\r\033[K{line}", err=True, nl=last)
        else:
            click.echo(line, err=True)
