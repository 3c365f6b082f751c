"""A shard: many entries of one stage in one Parquet file that never changes.

Its name ends with a digest of its footer, so that a file that is cut short, or is another's, is
told from a shard before anything in it is believed. Pages have checksums of Parquet's, entries of
our own: what was changed in between is noticed when it is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import struct
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vidal.store import atomic
from vidal.store.columns import (
    ABOUT,
    DICTIONARIES,
    GUARD,
    Damaged,
    Entry,
    Layout,
    from_table,
    leaf,
    parsed_layout,
    schema,
    to_table,
)

NAME = re.compile(r"([a-z][a-z0-9-]{0,39})-([0-9a-f]{16})-([0-9a-f]{32})\.parquet")
"""Stage, age, digest of the footer."""
OTHER = "other"
"""Stage in the name of a shard of entries of which none was said."""
GROUP = 1 << 20
"""Bytes of arrays in a row group, about: what is read and decoded for one entry."""
ROWS = 512
"""Entries in a row group at most."""
_LEVEL = 1
"""Of Zstandard: higher ones took twice the time for 2 % less."""
_SAMPLE = 1 << 18
_MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")

UNREADABLE = (pa.ArrowException, ValueError, KeyError, IndexError, TypeError, OverflowError)
"""What Arrow raises over damaged bytes, and ``MemoryError``, and an ``OSError`` without number."""


class ShardWriter:
    """Writes one shard, group by group, into a file that is given.

    Args:
        file: open for writing, empty.
        layouts: of all entries that will come.
    """

    def __init__(self, file: Any, layouts: Sequence[Layout]) -> None:
        self._file = file
        self._arrays = list(dict.fromkeys(each for layout in layouts for each in layout))
        self._schema = schema(layouts).with_metadata({"vidal shard": secrets.token_hex(8)})
        self._entries: list[Entry] = []
        self._bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._groups = 0
        self.about: list[pa.Table] = []

    def add(self, entry: Entry) -> None:
        """One more entry."""
        self._entries.append(entry)
        self._bytes += entry.bytes
        if self._bytes >= GROUP or len(self._entries) >= ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the footer. Not to be called for a shard without entries."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if not self._entries:
            return
        table = to_table(self._entries, self._schema, self._arrays)
        if self._writer is None:
            self._writer = self._opened()
        self._writer.write_table(table, row_group_size=len(table))
        self.about.append(_placed(table.select(ABOUT.names), self._groups))
        self._groups += 1
        self._entries, self._bytes = [], 0

    def _opened(self) -> pq.ParquetWriter:
        """With the encoding of each column that makes its first group smaller."""
        split = {}
        for name, code in self._arrays:
            sample = [e.arrays[name] for e in self._entries if (name, code) in e.layout]
            if np.dtype(code).itemsize > 1 and sample and _splitting_pays(sample):
                split[leaf(name, code)] = "BYTE_STREAM_SPLIT"
        return pq.ParquetWriter(
            self._file,
            self._schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=DICTIONARIES,
            column_encoding=split,
            write_statistics=False,
            write_page_checksum=True,
            data_page_size=1 << 20,
        )


def _splitting_pays(arrays: Sequence[Any]) -> bool:
    """Whether bytes of equal significance together are packed smaller than as they come."""
    flat, left = [], _SAMPLE
    for array in arrays:
        flat.append(np.ravel(array)[: left // array.itemsize])
        left -= flat[-1].nbytes
        if left <= 0:
            break
    plain = np.concatenate(flat)
    split = np.ascontiguousarray(plain.view(np.uint8).reshape(-1, plain.itemsize).T)
    codec = pa.Codec("zstd", compression_level=_LEVEL)
    return len(codec.compress(split.tobytes())) < len(codec.compress(plain.tobytes()))


def _placed(about: pa.Table, group: int) -> pa.Table:
    rows = len(about)
    return about.append_column(
        pa.field("group", pa.int32(), nullable=False), pa.array(np.full(rows, group, np.int32))
    ).append_column(
        pa.field("row", pa.int32(), nullable=False), pa.array(np.arange(rows, dtype=np.int32))
    )


def stage_of(name: str) -> str:
    """Of a shard of this name."""
    return name.rsplit("-", 2)[0]


def age_of(name: str) -> int:
    """When a shard of this name was written, ns since 1970, and later than those it replaces."""
    return int(name.rsplit("-", 2)[1], 16)


def write_shard(
    folder: Path, stage: str, layouts: Sequence[Layout], entries: Iterator[Entry], after: int = 0
) -> tuple[Path, pa.Table] | None:
    """A new shard of all these entries, under its name; None where there was none.

    Args:
        folder: of the shards.
        stage: of all of them.
        layouts: of all of them, each once is enough.
        entries: taken one by one; at most a row group of them is in memory.
        after: its age will be higher than that.

    Returns:
        Where it lies, and the columns ``ABOUT``, ``group`` and ``row`` of its entries.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    first = next(entries, None)
    if first is None:
        return None
    hidden = atomic.beside(folder / f"{stage or OTHER}.parquet")
    with atomic.reporting(hidden):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with hidden.open("xb") as file:
                writer = ShardWriter(file, layouts)
                writer.add(first)
                for entry in entries:
                    writer.add(entry)
                writer.close()
                file.flush()
                os.fsync(file.fileno())
            age = max(time.time_ns(), after + 1)
            path = folder / f"{stage or OTHER}-{age:016x}-{_digest(_footer(hidden))}.parquet"
            hidden.replace(path)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
        atomic.sync_folder(folder)
    return path, pa.concat_tables(writer.about, promote_options="none")


def _footer(path: Path) -> bytes:
    """The footer of a Parquet file with its length and mark.

    Raises:
        Damaged: there is none.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < 2 * len(_MAGIC) + _TAIL.size:
            raise Damaged
        file.seek(size - _TAIL.size)
        length, magic = _TAIL.unpack(file.read(_TAIL.size))
        if magic != _MAGIC or length > size - _TAIL.size - len(_MAGIC):
            raise Damaged
        file.seek(size - _TAIL.size - length)
        return file.read(length + _TAIL.size)


def _digest(footer: bytes) -> str:
    return hashlib.blake2b(footer, digest_size=16).hexdigest()


class Shard:
    """A shard that is read.

    Raises:
        Damaged: it is not what was written under this name.
        OSError: it is not there, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        footer = _footer(path)
        name = NAME.fullmatch(path.name)
        if name is None or name[3] != _digest(footer):
            raise Damaged
        with noticing():
            told = pq.read_metadata(pa.BufferReader(_MAGIC + footer))
            self._file = pq.ParquetFile(
                pa.OSFile(str(path)),
                metadata=told,
                page_checksum_verification=True,
                pre_buffer=False,  # no threads, which a forked worker would not have
            )
        self.groups: int = told.num_row_groups
        self._arrays = [each for each in self._file.schema_arrow.names if each not in _BESIDE]

    def about(self) -> Iterator[pa.Table | None]:
        """By row group the columns ``ABOUT``, ``group`` and ``row`` of its entries.

        None where a group is damaged.
        """
        for group in range(self.groups):
            try:
                with noticing():
                    yield _placed(self._table(group, ABOUT.names), group)
            except Damaged:
                yield None

    def layouts(self) -> list[Layout]:
        """Of its entries, each once; those of damaged groups are left out."""
        found: dict[str, Layout] = {}
        for group in range(self.groups):
            try:
                with noticing():
                    texts = self._table(group, ["layout"]).column("layout").unique().to_pylist()
                    found |= {text: parsed_layout(text) for text in texts}
            except Damaged:
                continue
        return list(found.values())

    def read(
        self, group: int, rows: Sequence[int] | None, names: Collection[str] | None
    ) -> Iterator[tuple[int, Entry | None]]:
        """Entries of a row group (rows in it; None = all), None where one is damaged.

        Raises:
            Damaged: none of the group can be read.
        """
        table = self.table(group, names)
        return from_table(table, range(len(table)) if rows is None else rows, names)

    def table(self, group: int, names: Collection[str] | None) -> pa.Table:
        """A row group: what is said of entries, and the columns of some arrays, or all.

        Raises:
            Damaged: it cannot be read.
        """
        if names is None:
            wanted = self._arrays
        else:
            wanted = [each for each in self._arrays if each.rpartition(":")[0] in names]
        with noticing():
            return self._table(group, [*ABOUT.names, *GUARD.names, *wanted])

    def _table(self, group: int, columns: Sequence[str]) -> pa.Table:
        return self._file.read_row_group(group, columns=list(columns), use_threads=False)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close(force=True)


_BESIDE = frozenset([*ABOUT.names, *GUARD.names])


@contextmanager
def noticing() -> Iterator[None]:
    """Whatever Arrow says of damaged bytes, as ``Damaged``; errors of the system as they are."""
    try:
        yield
    except OSError as error:
        if error.errno:
            raise
        raise Damaged from error
    except (*UNREADABLE, MemoryError) as error:
        raise Damaged from error
