"""Files of single entries into shards, and shards into better ones.

The order makes it safe to be killed, and to run beside readers, writers and other packers: a shard
is written and renamed, then a part of the manifest lists it, then the files that it replaces go. A
shard that no part lists yet is read itself. Two packers may write an entry twice: the copies are
equal, and the next to pack removes one.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from vidal.errors import OutputBusy, OutputError
from vidal.store import atomic, npz
from vidal.store.columns import Damaged, Entry, Layout, packable
from vidal.store.fresh import File, Folder, state_of
from vidal.store.lock import locked
from vidal.store.manifest import Index, entries_of, write_part
from vidal.store.packed import Packed
from vidal.store.shard import age_of, stage_of, write_shard
from vidal.store.sniff import sniffed
from vidal.types import Stored

if TYPE_CHECKING:
    from vidal.store.stores import FileStore

SHARD = 1 << 28
"""Bytes of arrays in a shard, about."""
ENTRIES = 8192
"""Entries in a shard at most."""
SMALL = 16 << 20
"""Bytes: shards below are put together when there are"""
MANY = 8
"""of them in a stage, and parts of a manifest when there are as many; see ``fresh`` for what is
enough to pack at all."""
_AT_ONCE = 16_384
"""Files of which the heads are in memory."""
_LOCK = ".vidal-packing"


Progress = Callable[[int, int], None]
"""Told how many entries are done, and of how many."""


@dataclass(frozen=True, slots=True)
class _Single:
    """An entry's file, and what its head says."""

    file: File
    about: Stored
    layout: Layout
    bytes: int


def pack_fresh(store: FileStore, files: Sequence[File]) -> None:
    """Pack these of the fresh entries; those of an earlier version are left where they are.

    Raises:
        OutputError, InputError: as of ``pack_all``.
    """
    _pack(store, [(store.fresh, files)])


def pack_all(store: FileStore, progress: Progress | None = None) -> None:
    """Pack every entry that has a file of its own, those of an earlier version too.

    What a shard cannot hold exactly (more than 256 MB, or arrays of texts) stays as it is.

    Raises:
        OutputError: the disk is full, or the root cannot be written; nothing is lost.
        InputError: a file is there and cannot be read.
    """
    if not store.read_only:
        work = [(each, list(each.files())) for each in (store.earlier, store.fresh)]
        _pack(store, work, progress)


def _pack(
    store: FileStore,
    work: Sequence[tuple[Folder, Sequence[File]]],
    progress: Progress | None = None,
) -> None:
    """Where another process packs already, it does."""
    done, total = 0, sum(len(files) for _, files in work)
    try:
        with _alone(store.root):
            for folder, files in work:
                files = sorted(files, key=lambda file: (file.made, file.key))
                for start in range(0, len(files), _AT_ONCE):
                    some = files[start : start + _AT_ONCE]
                    _pack_files(store.packed, folder, some)
                    done += len(some)
                    if progress is not None:
                        progress(done, total)
            tidy(store.packed)
    except OutputBusy:
        return


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Without other packers where the file system has locks: two only do the same work twice."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(root, _LOCK))
        except OutputBusy:
            raise
        except OutputError:  # no locks there
            pass
        yield


def _pack_files(packed: Packed, folder: Folder, files: Sequence[File]) -> None:
    """Shard after shard, so that a kill costs one."""
    by_stage: defaultdict[str, list[_Single]] = defaultdict(list)
    for file in files:
        found = _head(folder, file)
        if found is not None and packable(found.layout, found.bytes):
            by_stage[found.about.stage].append(found)
    for stage in sorted(by_stage):
        singles = by_stage[stage]
        for some in _batches([each.bytes for each in singles]):
            _pack_some(packed, folder, stage, singles[some])


def _head(folder: Folder, file: File) -> _Single | None:
    """What can be known of an entry without its arrays; None where it is damaged, or gone."""
    found = folder.read(file.key, npz.head)
    if found is None:
        return None
    about, layout, size = found
    if not about.stage:
        about = Stored(sniffed(layout))
    return _Single(file, about, layout, size)


def _batches(sizes: Sequence[int]) -> Iterator[slice]:
    """Entries of these sizes, in their order, shard by shard."""
    start, size = 0, 0
    for at, each in enumerate(sizes):
        size += each
        if size >= SHARD or at + 1 - start >= ENTRIES or at + 1 == len(sizes):
            yield slice(start, at + 1)
            start, size = at + 1, 0


def _pack_some(packed: Packed, folder: Folder, stage: str, singles: Sequence[_Single]) -> None:
    """One shard: written, listed, its files removed."""
    taken: list[_Single] = []
    packed.refresh()
    before = _made(packed.index, [each.file.key for each in singles])

    def entries() -> Iterator[Entry]:
        for single in singles:
            arrays = folder.get(single.file.key, None)
            if arrays is not None:
                taken.append(single)
                made = max(single.file.made, 1 + before.get(single.file.key, -1))
                yield Entry(single.file.key, single.about, made, arrays)

    layouts = [each.layout for each in singles]
    made = write_shard(packed.shards, stage, layouts, entries(), _age(packed))
    if made is None:
        return
    path, about = made
    write_part(packed.parts, entries_of(path.name, about))
    for single in taken:
        with atomic.reporting(single.file.path), suppress(FileNotFoundError):
            if state_of(single.file.path) == single.file.state:  # else it was put anew meanwhile
                single.file.path.unlink()


def _made(index: Index, keys: Sequence[str]) -> dict[str, int]:
    """When the packed entries of keys were made: what replaces them counts as later."""
    found = index.find(keys)
    return {key: int(index.made[at]) for key, at in zip(keys, found, strict=True) if at >= 0}


def _age(packed: Packed) -> int:
    """Of the youngest shard."""
    return age_of(packed.index.shards[-1]) if packed.index.shards else 0


def tidy(packed: Packed) -> None:
    """Remove shards of which nothing is alive, put small ones together, and the manifest.

    Raises:
        OutputError: the disk is full, or the root cannot be written; nothing is lost.
        InputError: a file is there and cannot be read.
    """
    packed.refresh()
    for stage, names in list(_worth_rewriting(packed)):
        _rewrite(packed, stage, names)
    packed.refresh()
    _remove_empty(packed)
    _merge_parts(packed)


def _alive(packed: Packed) -> dict[str, tuple[int, int]]:
    """Shard -> entries that are alive, and of how many."""
    index = packed.index
    every = np.bincount(index.shard, minlength=len(index.shards))
    alive = np.bincount(index.shard[index.alive], minlength=len(index.shards))
    return {name: (int(alive[at]), int(every[at])) for at, name in enumerate(index.shards)}


def _worth_rewriting(packed: Packed) -> Iterator[tuple[str, list[str]]]:
    """Stages with shards that are put together: small ones if many, those half dead."""
    by_stage: defaultdict[str, list[str]] = defaultdict(list)
    half_dead = set()
    for name, (alive, every) in _alive(packed).items():
        if not alive:
            continue
        try:
            size = (packed.shards / name).stat().st_size
        except FileNotFoundError:
            continue
        if 2 * alive < every:
            half_dead.add(name)
        if size < SMALL or name in half_dead:
            by_stage[stage_of(name)].append(name)
    for stage, names in sorted(by_stage.items()):
        if len(names) >= MANY:
            yield stage, names
        elif half_dead & set(names):
            yield stage, sorted(half_dead & set(names))


def _rewrite(packed: Packed, stage: str, names: Sequence[str]) -> None:
    """The entries of shards that are alive, in one shard (or more, where they are large)."""
    index = packed.index
    names = [name for name in names if name in index.shards]  # others may have been faster
    chosen = np.isin(index.shard, [index.shards.index(name) for name in names]) & index.alive
    positions = np.flatnonzero(chosen)
    positions = positions[np.lexsort((index.row[positions], index.made[positions]))]
    layouts = _layouts(packed, names)
    for some in _batches(index.size[positions].tolist()):
        places = [index.place(position) for position in positions[some].tolist()]
        entries = (entry for place in places if (entry := packed.entry(place)) is not None)
        made = write_shard(packed.shards, stage, layouts, entries, _age(packed))
        if made is not None:
            write_part(packed.parts, entries_of(made[0].name, made[1]))
            _keep_time(packed, names, made[0])
    for name in names:
        _remove(packed, name)
    packed.refresh()


def _keep_time(packed: Packed, names: Iterable[str], path: Path) -> None:
    """A shard was needed when the last of those that it replaces was."""
    with suppress(OSError):
        latest = max((packed.shards / name).stat().st_mtime for name in names)
        os.utime(path, (latest, latest))


def _layouts(packed: Packed, names: Sequence[str]) -> list[Layout]:
    found: list[Layout] = []
    for name in names:
        with suppress(Damaged, FileNotFoundError):
            found += packed.opened(name).layouts()
    return found


def _remove_empty(packed: Packed) -> None:
    for name, (alive, _) in _alive(packed).items():
        if not alive:
            _remove(packed, name)


def _remove(packed: Packed, name: str) -> None:
    path = packed.shards / name
    with atomic.reporting(path):
        path.unlink(missing_ok=True)


def _merge_parts(packed: Packed) -> None:
    """A part for shards that none lists, and one part for many."""
    packed.refresh()
    if packed.orphans:
        write_part(packed.parts, pa.concat_tables(packed.orphans))
        packed.refresh()
    before = packed.part_names
    if len(before) < MANY:
        return
    table = packed.index.table()
    made = write_part(packed.parts, table) if len(table) else None
    for name in before:
        path = packed.parts / name
        if path != made:
            with atomic.reporting(path):
                path.unlink(missing_ok=True)
    packed.refresh()
