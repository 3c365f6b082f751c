"""What a store holds, and making it smaller: by stage, by age, or down to a size."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidal.errors import InputError
from vidal.store import atomic, npz
from vidal.store.fresh import Folder
from vidal.store.shard import stage_of
from vidal.store.sniff import sniffed
from vidal.store.stores import BUDGET
from vidal.types import Stored

if TYPE_CHECKING:
    from vidal.store.stores import FileStore

DAY = 24 * 3600.0
_FIRST = ("flow", "features", "embeddings")
"""Stages that go first among what was needed on the same day: large, and read by few."""
_GIVEN = "given"


def is_kept(stage: str) -> bool:
    """Whether a stage is removed only by its name: what nobody can compute again."""
    return stage == "judged" or stage.startswith(_GIVEN)


@dataclass(frozen=True, slots=True)
class StageUsage:
    """One stage of a store.

    Attributes:
        stage: its name; "" = entries of which nobody said it.
        entries: how many.
        frames: that they are about, where that was said.
        files: shards and single entries.
        bytes: on disk.
    """

    stage: str
    entries: int
    frames: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a store holds.

    Attributes:
        stages: by name.
        single: entries that are not packed, those of an earlier version too.
        earlier: entries in the layout of an earlier version.
        bytes: of everything below its root, the manifest and leftovers too.
        budget: bytes, None = no limit.
    """

    stages: tuple[StageUsage, ...]
    single: int
    earlier: int
    bytes: int
    budget: int | None


@dataclass(frozen=True, slots=True)
class Removed:
    """What pruning removed (or would).

    Attributes:
        entries, files, bytes: how much.
        left: bytes that stay.
    """

    entries: int
    files: int
    bytes: int
    left: int


@dataclass(frozen=True, slots=True)
class _Unit:
    """A shard, or the file of one entry: what is removed as one.

    Attributes:
        needed: seconds since 1970: when it was last written or read.
        unsure: what nobody can compute again may be in it.
    """

    path: Path
    stage: str
    entries: int
    frames: int
    bytes: int
    needed: float
    unsure: bool = False


def usage(store: FileStore) -> Usage:
    """What a store holds.

    Raises:
        InputError: a file is there and cannot be read.
    """
    by_stage: defaultdict[str, list[_Unit]] = defaultdict(list)
    fresh, earlier = list(_singles(store.fresh)), list(_singles(store.earlier))
    for unit in [*_shards(store), *fresh, *earlier]:
        by_stage[unit.stage].append(unit)
    stages = [
        StageUsage(
            stage,
            sum(unit.entries for unit in units),
            sum(unit.frames for unit in units),
            len(units),
            sum(unit.bytes for unit in units),
        )
        for stage, units in sorted(by_stage.items())
    ]
    single = len(fresh) + len(earlier)
    return Usage(tuple(stages), single, len(earlier), size_of(store.root), budget_of(store.root))


def prune(
    store: FileStore,
    *,
    stages: Collection[str] = (),
    before: float | None = None,
    to: int | None = None,
    dry_run: bool = False,
) -> Removed:
    """Remove entries; they are computed again when they are needed.

    What nobody can compute again (detections that were given, judged rows) is removed only where
    its stage is named.

    Args:
        store: its root is written.
        stages: everything of these; with ``before`` or ``to`` no other.
        before: seconds since 1970: what was last needed (written, or asked for by a run) before
            that; a shard at a time.
        to: bytes: as much as it takes for the store not to be larger, the least recently needed
            first, of one day flow, features and embeddings first.
        dry_run: remove nothing.

    Raises:
        OutputError: it cannot be removed.
        InputError: a file is there and cannot be read.
    """
    every = [*_shards(store), *_singles(store.fresh), *_singles(store.earlier)]
    size = size_of(store.root)
    chosen = [unit for unit in every if unit.stage in stages] if stages else []
    if not stages:
        chosen = [unit for unit in every if not (is_kept(unit.stage) or unit.unsure)]
    if before is not None:
        chosen = [unit for unit in chosen if unit.needed < before]
    if to is not None:
        chosen = list(_down_to(chosen, size - to))
    if not dry_run:
        _remove(chosen)
    gone = sum(unit.bytes for unit in chosen)
    return Removed(sum(unit.entries for unit in chosen), len(chosen), gone, size - gone)


def _down_to(units: Iterable[_Unit], surplus: int) -> Iterator[_Unit]:
    """As many as make up the surplus, the least recently needed first."""
    for unit in sorted(units, key=_rank):
        if surplus <= 0:
            return
        surplus -= unit.bytes
        yield unit


def _rank(unit: _Unit) -> tuple[int, bool, float, str]:
    return int(unit.needed // DAY), unit.stage not in _FIRST, unit.needed, unit.path.name


def _remove(units: Iterable[_Unit]) -> None:
    for unit in units:
        with atomic.reporting(unit.path):
            unit.path.unlink(missing_ok=True)


def keep_budget(store: FileStore) -> int:
    """Prune to the budget of the store, if it has one; bytes by which it is still above.

    What was needed since a day before the store was opened is spared: this run, and those beside
    it, may need it still.

    Raises:
        OutputError, InputError: as of ``prune``.
    """
    budget = budget_of(store.root)
    if budget is None or size_of(store.root) <= budget:
        return 0
    removed = prune(store, to=budget, before=store.opened - DAY)
    return max(0, removed.left - budget)


def budget_of(root: Path) -> int | None:
    """Bytes that a store may take; None = no limit.

    Raises:
        InputError: it is noted there in a way that cannot be read.
    """
    path = root / BUDGET
    try:
        found = json.loads(path.read_text("utf-8"))["bytes"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(path, "not a budget", hint="Set it anew: vidal cache budget") from error
    except OSError as error:
        raise InputError(path, (error.strerror or str(error)).lower()) from error
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise InputError(path, "not a budget", hint="Set it anew: vidal cache budget")
    return found


def set_budget(root: Path, budget: int | None) -> None:
    """Note what a store may take; None = no limit.

    Raises:
        OutputError: it cannot be written.
    """
    path = root / BUDGET
    if budget is not None:
        atomic.write_text(path, json.dumps({"bytes": budget}, allow_nan=False) + "\n")
        return
    with atomic.reporting(path):
        path.unlink(missing_ok=True)


def size_of(root: Path) -> int:
    """Bytes of the files below a folder."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(OSError):
                total += Path(folder, name).lstat().st_size
    return total


def _shards(store: FileStore) -> Iterator[_Unit]:
    if not store.has_shards:
        return
    packed = store.packed
    packed.refresh()
    index = packed.index
    alive = np.bincount(index.shard[index.alive], minlength=len(index.shards))
    long = np.where(index.alive, np.maximum(index.stop - index.start, 0), 0)
    frames = np.bincount(index.shard, weights=long, minlength=len(index.shards))
    for code, name in enumerate(index.shards):
        path = packed.shards / name
        with suppress(FileNotFoundError):  # packed anew meanwhile
            found = path.stat()
            counts = int(alive[code]), int(frames[code])
            yield _Unit(path, stage_of(name), *counts, found.st_size, found.st_mtime)


def _singles(folder: Folder) -> Iterator[_Unit]:
    for file in folder.files():
        found = folder.read(file.key, npz.head)
        if found is None:  # damaged, or packed meanwhile
            continue
        about, layout, _ = found
        told = about if about.stage else Stored(sniffed(layout))
        yield _Unit(
            file.path,
            told.stage,
            1,
            max(0, told.stop - told.start),
            file.size,
            file.made / 1e9,
            unsure=not about.stage and told.stage in ("", "detections"),
        )
