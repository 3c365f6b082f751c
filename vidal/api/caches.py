"""``vidal.cache``: what is kept of evidence, and making it smaller."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidal.api.given import path_of, truth
from vidal.api.options import PathLike
from vidal.api.watch import Console
from vidal.assemble.cache import bytes_of, seconds_of, store_below
from vidal.errors import UnknownName, UsageError
from vidal.store import FileStore
from vidal.store.packing import pack_all
from vidal.store.usage import Removed, Usage, keep_budget, prune, set_budget, usage


class Cache:
    """The evidence that is kept for a campaign, a simulation or selections.

    Whatever is removed is computed again when it is needed. Detections that were given, and judged
    rows of a campaign, are removed only where their stage is named.

    Attributes:
        root: the folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def usage(self) -> Usage:
        """What is there: by stage ``entries``, ``frames``, ``files``, ``bytes``; ``single``
        entries that are not packed; ``earlier`` ones in the layout of an earlier version;
        ``bytes`` of all; ``budget``.

        Raises:
            InputError: a file is there and cannot be read.
        """
        return usage(FileStore(self.root, read_only=True))

    def pack(self, *, progress: bool = True) -> Usage:
        """Put all single entries together, those of an earlier version too; what is there then.

        ``progress``: show how far it is.

        Raises:
            OutputError: the disk is full, or the folder cannot be written; nothing is lost.
            InputError: a file is there and cannot be read.
        """
        store = FileStore(self.root)
        with Console(quiet=not progress) as console:
            pack_all(store, lambda done, total: console.writing("shards", done, total))
        keep_budget(store)
        return usage(store)

    def prune(
        self,
        *,
        stage: str | Sequence[str] = (),
        older_than: str | None = None,
        to: str | int | None = None,
        dry_run: bool = False,
    ) -> Removed:
        """Remove what fits all that is said; at least one thing has to be.

        Args:
            stage: names, such as ``"flow"``.
            older_than: an age such as ``"30d"``: what no run has needed for so long.
            to: a size such as ``"10GB"``: as much as it takes to come down to it, the least
                recently needed first.
            dry_run: remove nothing, only say what would be.

        Returns:
            ``entries``, ``files`` and ``bytes`` that went, bytes that are ``left``.

        Raises:
            UsageError: nothing is said, or no size or age.
            UnknownName: a stage of which nothing is there.
            OutputError: the folder cannot be written.
        """
        stages = (stage,) if isinstance(stage, str) else tuple(stage)
        if not stages and older_than is None and to is None:
            hint = "Give a stage, an age (older_than) or a size (to)."
            raise UsageError("nothing says what is to be removed.", hint=hint)
        store = FileStore(self.root, read_only=truth("dry_run", dry_run))
        there = [each.stage for each in usage(store).stages]
        for name in stages:
            if name not in there:
                raise UnknownName("stage", name, there)
        return prune(
            store,
            stages=stages,
            before=None if older_than is None else time.time() - seconds_of(older_than),
            to=None if to is None else _size(to),
            dry_run=dry_run,
        )

    def budget(self, size: str | int | None) -> Usage:
        """Keep the store below a size from now on; None or ``"none"`` = no limit any more.

        Whoever adds evidence removes then what was needed least recently. What was needed within a
        day is spared: where that alone is more, the store stays above its budget, and runs say so.

        Raises:
            UsageError: no size.
            OutputError: the folder cannot be written.
        """
        none = size is None or (isinstance(size, str) and size.strip().lower() == "none")
        set_budget(self.root, None if none or size is None else _size(size))
        store = FileStore(self.root)
        keep_budget(store)
        return usage(store)

    def as_dict(self) -> dict[str, Any]:
        """``usage``, as JSON values."""
        found = asdict(self.usage())
        return {"store": str(self.root), **found, "stages": list(found["stages"])}


def cache(folder: PathLike) -> Cache:
    """The evidence that is kept below a folder.

    Args:
        folder: a campaign, a simulation, the folder of a selection, or what was its ``cache``.

    Raises:
        InputError: nothing is kept there.
    """
    return Cache(store_below(path_of("folder", folder)))


def _size(given: str | int) -> int:
    if isinstance(given, bool) or (isinstance(given, int) and given < 0):
        raise UsageError(f"{given!r} is not a size.", hint="Write it like 200GB or 512MiB.")
    return given if isinstance(given, int) else bytes_of(str(given))
