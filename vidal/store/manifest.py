"""What the shards of a store hold, as arrays: read in one go, looked up without opening a shard.

The manifest lies in parts, each named by a digest of its content. A part lists entries, or places
in shards that are dead (dropped, damaged, replaced). It can be made again from the shards.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vidal.store import atomic
from vidal.store.columns import ABOUT, DICTIONARIES, ITEM, Damaged, stored
from vidal.store.shard import age_of, noticing
from vidal.types import BoolArray, IntArray, Stored

NAME = re.compile(r"(entries|dead)-([0-9a-f]{32})\.parquet")
_FACTS = pa.field(
    "facts",
    pa.list_(pa.field(ITEM, pa.dictionary(pa.int32(), pa.string()), nullable=False)),
    nullable=False,
)
ENTRIES = pa.schema(
    [
        pa.field("shard", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("group", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        *(_FACTS if field.name == "facts" else field for field in ABOUT),
    ]
)
DEAD = pa.schema([*ENTRIES][:3])
_GROUP_BITS, _ROW_BITS = 22, 10
_WORDS = 10_000

Place = tuple[str, int, int]
"""Name of a shard, row group, row in it."""


def write_part(folder: Path, table: pa.Table) -> Path:
    """A new part; equal content has equal names.

    Raises:
        OutputError: it cannot be written.
    """
    buffer = io.BytesIO()
    names = ["shard", *DICTIONARIES] if "key" in table.column_names else ["shard"]
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        use_dictionary=[each for each in names if each != "layout"],
        write_statistics=False,
    )
    data = buffer.getvalue()
    kind = "entries" if "key" in table.column_names else "dead"
    path = folder / f"{kind}-{_digest(data)}.parquet"
    atomic.write_bytes(path, data)
    return path


def read_part(path: Path) -> pa.Table:
    """A part, ``ENTRIES`` or ``DEAD``.

    Raises:
        Damaged: it is not what was written under this name.
        OSError: it is not there, or cannot be read.
    """
    data, name = path.read_bytes(), NAME.fullmatch(path.name)
    if name is None or name[2] != _digest(data):
        raise Damaged
    with noticing():
        facts = [f"facts.list.{ITEM}"] if name[1] == "entries" else []
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=facts, pre_buffer=False)
        table = file.read(use_threads=False)
        if not set(DEAD.names) <= set(table.column_names):
            raise Damaged
        return table


def entries_of(shard: str, about: pa.Table) -> pa.Table:
    """The entries of a shard as a part lists them."""
    code = np.zeros(len(about), np.int32)
    names = pa.DictionaryArray.from_arrays(pa.array(code), pa.array([shard]))
    about = about.combine_chunks()
    columns = [about.column(name) for name in ENTRIES.names[1:]]
    facts = _whole(about.column("facts"))
    words = facts.values.dictionary_encode()
    columns[ENTRIES.names.index("facts") - 1] = pa.ListArray.from_arrays(
        facts.offsets, words, type=_FACTS.type
    )
    return pa.Table.from_arrays([names, *columns], schema=ENTRIES)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def dead_at(places: Collection[Place]) -> pa.Table:
    """Dead places as a part lists them."""
    rows = sorted(places)
    columns = [[row[at] for row in rows] for at in range(3)]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, DEAD, strict=True)]
    return pa.Table.from_arrays(arrays, schema=DEAD)


def identities(keys: Sequence[str]) -> NDArray[np.uint64]:
    """(n, 2): keys of 32 digits as two numbers, others by a digest of theirs."""
    text = "".join(keys)
    if len(text) != 32 * len(keys) or any(len(key) != 32 for key in keys):
        text = "".join(key if len(key) == 32 else _shortened(key) for key in keys)
    return np.frombuffer(bytes.fromhex(text), ">u8").astype(np.uint64).reshape(-1, 2)


def _shortened(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class Index:
    """The entries of a store's shards, one row each; of copies under one key the latest counts.

    The order of copies (when an entry was made, age of the shard) is the same for everybody, and a
    copy is only removed where there is a later one: so whatever packers do at once, the last of all
    stays.

    Attributes:
        shards: their names by age; ``shard`` counts them.
        shard, group, row: (n,) where an entry lies.
        made, size: (n,) int64, ns since 1970 and bytes of its arrays in memory.
        start, stop: (n,) int64, frames of its clip.
        alive: (n,) bool: not dead, and no later copy.
        order: positions of those alive, by key.
        ids, every: (.., 2) the keys of those alive, sorted, and of all.
    """

    shards: tuple[str, ...]
    shard: IntArray
    group: IntArray
    row: IntArray
    made: IntArray
    size: IntArray
    start: IntArray
    stop: IntArray
    alive: BoolArray
    order: IntArray
    ids: NDArray[np.uint64]
    every: NDArray[np.uint64]
    _tables: Sequence[pa.Table]

    @classmethod
    def of(
        cls, tables: Iterable[pa.Table], dead: Iterable[pa.Table], shards: Collection[str]
    ) -> Index:
        """From the parts of a manifest; what they say of other shards than these is left out."""
        names = tuple(sorted(shards, key=lambda name: (age_of(name), name)))
        code = {name: at for at, name in enumerate(names)}
        kept = [part for part in (_in(table, code) for table in tables) if len(part)]
        buried = [_places(part, code) for part in (_in(table, code) for table in dead)]
        places = _joined([_places(part, code) for part in kept])
        made = _joined([_column(part, "made") for part in kept])
        ids = np.concatenate([np.zeros((0, 2), np.uint64), *(_ids(part) for part in kept)])
        alive = ~np.isin(places, _joined(buried)) if buried else np.ones(len(places), np.bool_)
        order = _latest(ids, made, places, np.flatnonzero(alive))
        alive = np.zeros(len(places), np.bool_)
        alive[order] = True
        return cls(
            shards=names,
            shard=places >> (_GROUP_BITS + _ROW_BITS),
            group=(places >> _ROW_BITS) & ((1 << _GROUP_BITS) - 1),
            row=places & ((1 << _ROW_BITS) - 1),
            made=made,
            size=_joined([_column(part, "bytes") for part in kept]),
            start=_joined([_column(part, "start") for part in kept]),
            stop=_joined([_column(part, "stop") for part in kept]),
            alive=alive,
            order=order,
            ids=ids[order],
            every=ids,
            _tables=kept,
        )

    def __len__(self) -> int:
        return len(self.shard)

    def find(self, keys: Sequence[str]) -> IntArray:
        """The positions of keys; -1 = not there."""
        wanted = identities(keys)
        found = np.full(len(keys), -1, np.int64)
        at = np.searchsorted(self.ids[:, 0], wanted[:, 0])
        left = np.flatnonzero(at < len(self.ids))
        while len(left):  # once, but where two keys have equal first halves
            same = (self.ids[at[left]] == wanted[left]).all(axis=1)
            found[left[same]] = self.order[at[left[same]]]
            left = left[~same]
            at[left] += 1
            left = left[at[left] < len(self.ids)]
            left = left[self.ids[at[left], 0] == wanted[left, 0]]
        return found

    def copies(self, keys: Sequence[str]) -> IntArray:
        """The positions of all copies of keys, those that are not alive too."""
        wanted = identities(keys)
        some = np.flatnonzero(np.isin(self.every[:, 0], wanted[:, 0]))
        pairs = set(map(tuple, wanted.tolist()))
        same = [tuple(pair) in pairs for pair in self.every[some].tolist()]
        return some[np.array(same, np.bool_)]

    def place(self, position: int) -> Place:
        """Where an entry lies."""
        shard, group, row = (int(a[position]) for a in (self.shard, self.group, self.row))
        return self.shards[shard], group, row

    def stored(self, position: int) -> Stored:
        """What is said of an entry."""
        part = int(np.searchsorted(self._starts, position, side="right")) - 1
        return self._told[part](position - int(self._starts[part]))

    @cached_property
    def _told(self) -> list[_Told]:
        return [_Told(table) for table in self._tables]

    @cached_property
    def _starts(self) -> IntArray:
        return np.cumsum([0, *(len(table) for table in self._tables)])[:-1]

    def table(self) -> pa.Table:
        """The entries that are alive, as one part lists them."""
        return pa.concat_tables(
            [
                table.filter(pa.array(self.alive[start : start + len(table)]))
                for table, start in zip(self._tables, self._starts, strict=True)
            ]
            or [ENTRIES.empty_table()]
        )


def _in(table: pa.Table, code: Mapping[str, int]) -> pa.Table:
    """The rows on shards that are there."""
    shards = _coded(table, "shard")
    there = np.fromiter((name in code for name in shards), np.bool_, len(shards))
    return table if there.all() else table.filter(pa.array(there))


def _coded(table: pa.Table, name: str) -> NDArray[np.object_]:
    """A column of few different texts; no new text a row."""
    parts: list[Any] = [np.zeros(0, object)]
    for chunk in table.column(name).chunks:
        words = np.array(chunk.dictionary.to_pylist(), object)
        parts.append(words[chunk.indices.to_numpy()])
    return np.concatenate(parts)


def _places(table: pa.Table, code: Mapping[str, int]) -> IntArray:
    """(n,) where entries lie, as one number: shard, group, row."""
    parts = [np.zeros(0, np.int64)]
    for chunk in table.column("shard").chunks:
        words = np.array([code.get(n, -1) for n in chunk.dictionary.to_pylist()], np.int64)
        parts.append(words[chunk.indices.to_numpy()])
    shard, group, row = np.concatenate(parts), _column(table, "group"), _column(table, "row")
    return (shard << (_GROUP_BITS + _ROW_BITS)) | (group << _ROW_BITS) | row


def _column(table: pa.Table, name: str) -> IntArray:
    return table.column(name).to_numpy().astype(np.int64)


def _joined(parts: Sequence[IntArray]) -> IntArray:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _ids(table: pa.Table) -> NDArray[np.uint64]:
    parts = [identities(chunk.to_pylist()) for chunk in table.column("key").chunks]
    return np.concatenate([np.zeros((0, 2), np.uint64), *parts])


def _latest(ids: NDArray[np.uint64], made: IntArray, places: IntArray, among: IntArray) -> IntArray:
    """Positions, by id, of the last made under each; of equally late ones the last place."""
    high, low = ids[among].T
    order = np.argsort(high, kind="stable")
    if (high[order[1:]] == high[order[:-1]]).any():
        order = np.lexsort((places[among], made[among], low, high))
        last = np.append((ids[among[order[1:]]] != ids[among[order[:-1]]]).any(axis=1), True)
        order = order[last[: len(order)]]
    return among[order]


class _Told:
    """What is said of the entries of one table, without a Python object a row until it is asked."""

    def __init__(self, table: pa.Table) -> None:
        self._stage, self._clip = _coded(table, "stage"), _coded(table, "clip")
        self._numbers = [_column(table, name) for name in ("start", "stop", "rows")]
        self._facts = _whole(table.column("facts"))
        self._ends = self._facts.offsets.to_numpy()
        words = self._facts.values
        self._codes, self._words = words.indices.to_numpy(), words.dictionary
        self._known: dict[int, str] = {}

    def __call__(self, row: int) -> Stored:
        codes = self._codes[self._ends[row] : self._ends[row + 1]].tolist()
        facts = [self._word(code) for code in codes]
        start, stop, rows = (int(each[row]) for each in self._numbers)
        return stored(self._stage[row], self._clip[row], start, stop, rows, facts)

    def _word(self, code: int) -> str:
        if code not in self._known:
            if len(self._known) > _WORDS:
                self._known.clear()
            self._known[code] = self._words[code].as_py()
        return self._known[code]
