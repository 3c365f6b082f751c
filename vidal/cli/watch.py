"""Shows how far a run is, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from vidal.cli.progress import ClipProgress, stage_bars

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vidal.types import Clip


class Console:
    """The watcher of a selection. A context manager."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
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
        if known and not self._quiet:
            click.echo(f"evidence of {known} clips is kept from an earlier run", err=True)
        self._progress = self._stack.enter_context(
            ClipProgress(
                "scanning",
                [clip.path.name for clip in clips],
                [clip.frames for clip in clips],
                quiet=self._quiet,
            )
        )

    def advance(self, item: int, done: int, total: int) -> None:
        """Move a clip's bar."""
        if self._progress is not None:
            self._progress.advance(item, done, total)

    def writing(self, stage: str, done: int, total: int) -> None:
        """The outputs are being written: a bar for each stage, on a terminal."""
        if self._quiet or not sys.stderr.isatty():
            return
        if self._bars is None:
            self._bars = self._stack.enter_context(stage_bars())
        if stage not in self._stages:
            self._stages[stage] = self._bars.add_task(f"writing {stage}", total=total)
        self._bars.update(self._stages[stage], completed=done, total=total)

    def finish(self, item: int, remark: str) -> None:
        """A clip is done."""
        if self._progress is not None:
            self._progress.finish(item, remark)
