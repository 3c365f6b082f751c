"""Entries as rows of an Arrow table and back: one column an array, nothing rounded.

A column holds an array of every entry, flattened, under ``name:dtype``; beside them stands what is
said of an entry, the shapes of its arrays and their checksums. Bytes (uint8, int8) are one binary
value an entry. What a table cannot hold exactly (strings, structures, dates, foreign byte order)
stays a file of its own: see ``packable``.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vidal.store.about import to_json
from vidal.types import Stored

LARGEST = 1 << 28
"""Bytes: a larger entry stays a file of its own, since an entry is in memory while it is moved."""
ITEM = "element"
_LISTED = {
    "|b1": pa.bool_(),
    "<i2": pa.int16(),
    "<i4": pa.int32(),
    "<i8": pa.int64(),
    "<u2": pa.uint16(),
    "<u4": pa.uint32(),
    "<u8": pa.uint64(),
    "<f2": pa.float16(),
    "<f4": pa.float32(),
    "<f8": pa.float64(),
}
_BYTES = ("|u1", "|i1")
_TEXT = pa.dictionary(pa.int32(), pa.string())

ABOUT = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("stage", _TEXT, nullable=False),
        pa.field("clip", _TEXT, nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        # A fact is its name and its value as JSON: entries share most of them.
        pa.field("facts", pa.list_(pa.field(ITEM, pa.string(), nullable=False)), nullable=False),
        pa.field("made", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
    ]
)
"""What a shard, and the manifest, say of an entry. ``made``: ns since 1970, the later of two copies
is the right one; ``bytes``: of its arrays in memory."""
GUARD = pa.schema(
    [
        pa.field("layout", _TEXT, nullable=False),
        pa.field("shapes", pa.list_(pa.field(ITEM, pa.int64(), nullable=False)), nullable=False),
        pa.field("sums", pa.list_(pa.field(ITEM, pa.uint32(), nullable=False)), nullable=False),
    ]
)
"""Names and dtypes in their order, as JSON; dimensions and shape of each; CRC-32 of each, and one
of all that is not an array."""
DICTIONARIES = ["stage", "clip", f"facts.list.{ITEM}", "layout"]

Layout = Sequence[tuple[str, str]]
"""Names and dtypes of the arrays of an entry."""


class Damaged(Exception):
    """Bytes that are not those that were written."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One entry on its way into a shard, or out of it."""

    key: str
    about: Stored
    made: int
    arrays: Mapping[str, NDArray[Any]]

    @property
    def bytes(self) -> int:
        """Of its arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def layout(self) -> Layout:
        """Names and dtypes."""
        return [(name, array.dtype.str) for name, array in self.arrays.items()]


def packable(layout: Layout, size: int) -> bool:
    """Whether a row of a table holds an entry exactly."""
    return size <= LARGEST and all(code in _LISTED or code in _BYTES for _, code in layout)


def column(name: str, code: str) -> str:
    """Of an array with this dtype."""
    return f"{name}:{code[1:]}"


def leaf(name: str, code: str) -> str:
    """The path of a column's values in Parquet."""
    return column(name, code) if code in _BYTES else f"{column(name, code)}.list.{ITEM}"


def schema(layouts: Sequence[Layout]) -> pa.Schema:
    """Of a shard that holds entries of these layouts."""
    found = dict.fromkeys(each for layout in layouts for each in layout)
    fields = [pa.field(column(name, code), _arrow(code)) for name, code in found]
    return pa.schema([*ABOUT, *GUARD, *fields])


def to_table(entries: Sequence[Entry], target: pa.Schema, layouts: Layout) -> pa.Table:
    """The rows of entries. ``layouts``: every array of the schema."""
    heads = [_head(entry) for entry in entries]
    told = {name: [head[name] for head in heads] for name in heads[0]}
    columns: list[pa.Array] = [pa.array(told[field.name], field.type) for field in [*ABOUT, *GUARD]]
    for name, code in layouts:
        arrays = [entry.arrays.get(name) for entry in entries]
        columns.append(_packed([a if _is(a, code) else None for a in arrays], code))
    return pa.Table.from_arrays(columns, schema=target)


def _is(array: NDArray[Any] | None, code: str) -> bool:
    return array is not None and array.dtype.str == code


def _arrow(code: str) -> pa.DataType:
    if code in _BYTES:
        return pa.binary()
    return pa.list_(pa.field(ITEM, _LISTED[code], nullable=False))


def _packed(arrays: Sequence[NDArray[Any] | None], code: str) -> pa.Array:
    """One column: the arrays flattened, null where an entry has none."""
    if code in _BYTES:
        return pa.array([None if a is None else a.tobytes() for a in arrays], pa.binary())
    flat = [np.ravel(a) for a in arrays if a is not None]
    values = np.concatenate(flat) if flat else np.zeros(0, np.dtype(code))
    ends = np.cumsum([0, *(0 if a is None else a.size for a in arrays)], dtype=np.int32)
    absent = np.array([a is None for a in arrays])
    return pa.ListArray.from_arrays(
        pa.array(ends),
        pa.array(values, _LISTED[code]),
        type=_arrow(code),
        mask=pa.array(absent) if absent.any() else None,
    )


def _head(entry: Entry) -> dict[str, Any]:
    """What stands beside the arrays of an entry."""
    about = entry.about
    facts = json.loads(to_json(about))["facts"]
    head: dict[str, Any] = {
        "key": entry.key,
        "stage": about.stage,
        "clip": about.clip,
        "start": about.start,
        "stop": about.stop,
        "rows": about.rows,
        "facts": [each for name in facts for each in (name, _json(facts[name]))],
        "made": entry.made,
        "bytes": entry.bytes,
        "layout": _json([list(each) for each in entry.layout]),
        "shapes": [n for a in entry.arrays.values() for n in (a.ndim, *a.shape)],
    }
    sums = [_sum(np.ascontiguousarray(array)) for array in entry.arrays.values()]
    return {**head, "sums": [*sums, _guard(head, sums)]}


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _sum(array: NDArray[Any]) -> int:
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def _guard(head: Mapping[str, Any], sums: Sequence[int]) -> int:
    """A checksum of what is said of an entry, its shapes and its checksums."""
    names = (*ABOUT.names, "layout", "shapes")
    return zlib.crc32(repr([*(head[name] for name in names), list(sums)]).encode())


def stored(stage: str, clip: str, start: int, stop: int, rows: int, facts: Sequence[str]) -> Stored:
    """From the columns."""
    told = {name: _parsed(value) for name, value in zip(facts[::2], facts[1::2], strict=True)}
    return Stored(stage, clip, start, stop, rows, told)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    return json.loads(text)


def from_table(
    table: pa.Table, rows: Sequence[int], names: Collection[str] | None
) -> Iterator[tuple[int, Entry | None]]:
    """Entries of some rows, in that order, with arrays of these names (None = all).

    None where an entry is damaged. ``arrays`` are copies.
    """
    heads = table.select([*ABOUT.names, *GUARD.names])
    read = _Columns(table)
    for row in rows:
        try:
            yield row, _entry(heads.slice(row, 1).to_pylist()[0], row, names, read)
        except (Damaged, ValueError, KeyError, IndexError, TypeError, OverflowError):
            yield row, None


def _entry(
    head: Mapping[str, Any], row: int, names: Collection[str] | None, read: _Columns
) -> Entry:
    *sums, guard = head["sums"]
    if guard != _guard(head, sums):
        raise Damaged
    layout, shapes = parsed_layout(head["layout"]), head["shapes"]
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for (name, code), due in zip(layout, sums, strict=True):
        shape = tuple(shapes[at + 1 : at + 1 + shapes[at]])
        at += 1 + len(shape)
        if names is not None and name not in names:
            continue
        flat = read(name, code, row)
        if len(flat) != math.prod(shape) or _sum(flat) != due:
            raise Damaged
        arrays[name] = flat.reshape(shape)
    told = (head[name] for name in ("stage", "clip", "start", "stop", "rows", "facts"))
    return Entry(head["key"], stored(*told), head["made"], arrays)


@lru_cache(maxsize=256)
def parsed_layout(text: str) -> Layout:
    """From the column ``layout``."""
    return [(str(name), str(code)) for name, code in json.loads(text)]


class _Columns:
    """The values of a table's columns as NumPy arrays, each looked up once."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._known: dict[str, tuple[NDArray[Any], NDArray[np.int64]]] = {}

    def __call__(self, name: str, code: str, row: int) -> NDArray[Any]:
        """A copy of the flat values of one row."""
        where = column(name, code)
        if where not in self._known:
            self._known[where] = self._values(where, code)
        values, ends = self._known[where]
        return values[ends[row] : ends[row + 1]].copy()

    def _values(self, where: str, code: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
        whole = self._table.column(where).combine_chunks()
        if isinstance(whole, pa.ChunkedArray):
            whole = pa.concat_arrays(whole.chunks)
        if code in _BYTES:
            _, places, data = whole.buffers()
            ends = np.frombuffer(places, np.int32)[whole.offset :][: len(whole) + 1]
            values = np.frombuffer(data or b"", np.dtype(code))
        else:
            ends = whole.offsets.to_numpy()
            values = whole.values.to_numpy(zero_copy_only=False)
        if values.dtype != np.dtype(code):
            raise Damaged
        return values, ends.astype(np.int64)
