"""What is running in a folder, for `vidal status`: a small file that the running command renews.

The file is replaced at most once a second and removed at the end. One that a killed process has
left is known by its process, which is not there any more.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

FILE = ".running.json"
EVERY = 1.0
"""Seconds between two writes, at least."""
STEADY = 2.0
"""Seconds after which a rate means something."""
SILENT = 600.0
"""Seconds without a sign of life after which a process of another machine is taken for gone."""

Item = Literal["clip", "run", "picture", ""]
State = Literal["running", "gone", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Work:
    """How far a stage of the work is.

    Attributes:
        stage: what is being done, in words.
        done, total: units of it; a total of 0 = not known.
        unit: one of them: ``frame``, ``step``, or empty.
        items_done, items: clips (or runs) that are finished, of all.
        item: what they are.
        rate: units a second since the stage began; None = not known yet.
        left: seconds until the stage is done; None = not known.
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""
    items_done: int = 0
    items: int = 0
    item: Item = ""
    rate: float | None = None
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """What a heartbeat file says.

    Attributes:
        command: of vidal.
        round: that it works on; None where it is about no round.
        device: that detectors run on; empty where none runs.
        pid, host: the process, and where.
        start: when the process began, as the system counts; None where it does not say.
        began, beat: seconds since 1970: when the command began, and the last sign of life.
        work: how far it is.
        state: ``running``; ``gone`` = the process was killed; ``elsewhere`` = of another machine,
            which cannot be asked.
    """

    command: str
    round: int | None
    device: str
    pid: int
    host: str
    start: int | None
    began: float
    beat: float
    work: Work
    state: State = "running"

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class Heartbeat:
    """Tells of a running command; made by ``beating``."""

    def __init__(self, folder: Path | None, command: str, number: int | None = None) -> None:
        """
        Args:
            folder: whose file is written; None = nothing is told.
            command: of vidal.
            number: of the round it works on.
        """
        self._path = None if folder is None else folder / FILE
        pid, now = os.getpid(), time.time()
        first = Work("starting")
        self._now = Running(
            command, number, "", pid, platform.node(), _start_of(pid), now, now, first
        )
        self._since = self._written = time.monotonic()
        self._counts: list[int] = []
        self._write()

    def on(self, device: str) -> None:
        """Which device detectors run on."""
        self._now = replace(self._now, device=device)

    def stage(
        self, name: str, total: int = 0, *, unit: str = "", items: int = 0, item: Item = ""
    ) -> None:
        """A stage begins; written at once, since it may have nothing to tell for a while."""
        self._since = time.monotonic()
        self._counts = [0] * items
        work = Work(name, 0, total, unit, 0, items, item)
        self._now = replace(self._now, work=work)
        self._write()

    def advance(self, item: int, done: int) -> None:
        """An item of the stage has so many units done."""
        if item < len(self._counts):
            self._counts[item] = done
        self._set(done=sum(self._counts))

    def finish(self, item: int, units: int | None = None) -> None:
        """An item of the stage is done, all its units too."""
        if units is not None and item < len(self._counts):
            self._counts[item] = units
        self._set(done=sum(self._counts), items_done=self._now.work.items_done + 1)

    def at(self, done: int, total: int) -> None:
        """The stage has done so many units of all."""
        self._set(done=done, total=total)

    def _set(self, **changes: Any) -> None:
        self._now = replace(self._now, work=replace(self._now.work, **changes))
        self._beat()

    def _beat(self) -> None:
        if time.monotonic() - self._written >= EVERY:
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        self._written = now = time.monotonic()
        work, gone = self._now.work, now - self._since
        rate = work.done / gone if work.done and gone >= STEADY else None
        left = (work.total - work.done) / rate if rate and work.total >= work.done else None
        told = replace(self._now, beat=time.time(), work=replace(work, rate=rate, left=left))
        temporary = self._path.with_name(f"{FILE}.new")
        # A file that cannot be written costs the news, never the work.
        with suppress(OSError):
            temporary.write_text(json.dumps(told.as_dict(), allow_nan=False), "utf-8")
            temporary.replace(self._path)

    def end(self) -> None:
        """The command is done: nothing runs here any more."""
        if self._path is not None:
            for path in (self._path, self._path.with_name(f"{FILE}.new")):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


@contextmanager
def beating(folder: Path, command: str, number: int | None = None) -> Iterator[Heartbeat]:
    """Tell of a command for the time of the block; the caller holds the lock of the folder."""
    beat = Heartbeat(folder, command, number)
    try:
        yield beat
    finally:
        beat.end()


def running(folder: Path) -> Running | None:
    """What runs in a folder, or ran there when it was killed; None = nothing.

    A file that is damaged, or of another version of vidal, says nothing.
    """
    try:
        value = json.loads((folder / FILE).read_text("utf-8"))
        told = Running(**{**value, "work": Work(**value["work"])})
        return replace(told, state=_state(told))
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None


def _state(told: Running) -> State:
    if told.host != platform.node():
        return "elsewhere" if time.time() - told.beat < SILENT else "gone"
    try:
        os.kill(told.pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass  # there, and somebody else's
    # A number is used again: it is the same process if it began at the same time.
    return "running" if _start_of(told.pid) == told.start else "gone"


def _start_of(pid: int) -> int | None:
    """When a process began, in ticks of the system; None where that is not told."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def disk(folder: Path, evidence: Path) -> dict[str, Any]:
    """Bytes that the evidence takes, and bytes free where a folder lies: JSON values."""
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
    return {"evidence": _bytes_below(evidence), "free": free}


def _bytes_below(folder: Path) -> int:
    total, left = 0, [os.fspath(folder)]
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


NOBODY = Heartbeat(None, "")
"""Tells nothing."""
