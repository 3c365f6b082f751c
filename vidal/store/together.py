"""Many new entries straight into shards, without a file of their own before."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from vidal.store.about import checked, checked_key
from vidal.store.columns import Entry, packable
from vidal.store.fresh import MUCH
from vidal.store.manifest import entries_of, write_part
from vidal.store.packing import ENTRIES
from vidal.store.shard import age_of, write_shard
from vidal.types import Stored

if TYPE_CHECKING:
    from vidal.store.stores import FileStore

New = tuple[str, Mapping[str, NDArray[Any]], Stored]
"""Key, arrays and what is said of them."""


def put_together(store: FileStore, entries: Sequence[New]) -> None:
    """Put entries into shards, stage by stage; where a stage has few of them, one by one.

    A shard is two files that are made sure of, however many entries it holds; an entry by itself is
    one.

    Raises:
        OutputError, ValueError: as of ``FileStore.put``; some entries may be there.
    """
    by_stage: defaultdict[str, list[Entry]] = defaultdict(list)
    store.packed.refresh()
    before = _made(store, [checked_key(key) for key, _, _ in entries])
    for key, arrays, about in entries:
        entry = Entry(key, checked(about), max(time.time_ns(), 1 + before.get(key, -1)), arrays)
        by_stage[about.stage if packable(entry.layout, entry.bytes) else ""].append(entry)
    for stage, those in sorted(by_stage.items()):
        for start in range(0, len(those), ENTRIES):
            some = those[start : start + ENTRIES]
            if stage and len(some) >= MUCH:
                _put_shard(store, stage, some)
            else:
                for entry in some:
                    store.put(entry.key, entry.arrays, entry.about)


def _put_shard(store: FileStore, stage: str, entries: Sequence[Entry]) -> None:
    packed, layouts = store.packed, [entry.layout for entry in entries]
    after = age_of(packed.index.shards[-1]) if packed.index.shards else 0
    made = write_shard(packed.shards, stage, layouts, iter(entries), after)
    if made is not None:
        write_part(packed.parts, entries_of(made[0].name, made[1]))
    for entry in entries:  # what was put one by one would be found first
        store.fresh.drop(entry.key)
        store.earlier.drop(entry.key)


def _made(store: FileStore, keys: Sequence[str]) -> dict[str, int]:
    """When the packed entries of keys were made: what replaces them counts as later."""
    index = store.packed.index
    found = index.find(keys)
    return {key: int(index.made[at]) for key, at in zip(keys, found, strict=True) if at >= 0}
