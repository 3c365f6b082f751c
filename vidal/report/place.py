"""The output folder of a selection: who may write there, and which files are vidal's own.

A file is vidal's where the folder's ``query.json`` lists it with the content it has: what a person
put there, or has changed since, is never replaced or removed. Everything is made in a temporary
folder inside and then moved into place, ``query.json`` last, so that a folder with a ``query.json``
is complete, and of one run. A run that was killed meanwhile is undone by the next.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidal.errors import FormatError, OutputError
from vidal.report.clip_files import FOLDER as CLIPS
from vidal.report.clip_files import TABLE
from vidal.report.frames import FOLDER, Written
from vidal.report.query_files import FORMAT, content_digest, read_content
from vidal.store import atomic, lock

QUERY = "query.json"
FILES = (FOLDER, "query.csv", "preannotations.coco.json", "report.html", QUERY)
"""What a selection leaves in its folder, in the order in which it comes there."""

ALL = (CLIPS, TABLE, *FILES)
"""The same with what there is where the page has no room for all clips."""

PICTURES = "sha256"
"""Key of the list of files under which the SHA-256 of each picture stands."""

_WORK = ".writing-"
_MOVING = "moving"  # exists while files are moved; lists the new ones
_HINT = "Choose another folder with --out, or move that file away."


@dataclass(frozen=True, slots=True)
class Place:
    """An output folder that this process has to itself, made by ``claimed``."""

    out: Path


@contextmanager
def claimed(out: Path) -> Iterator[Place]:
    """An output folder, for the time of the block: made, locked, and free of other people's files.

    Raises:
        OutputBusy: another run is writing there.
        OutputError: it cannot be made or written; or it holds a file with the name of an output
            that vidal did not write, or that was changed since.
    """
    hint = "Choose another folder with --out."
    try:
        made = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(out, cause(error), hint=hint) from error
    try:
        with lock.locked(out):
            try:
                _clear_up(out)
                foreign = foreign_file(out)
            except OSError as error:
                raise OutputError(out, cause(error), hint=hint) from error
            if foreign:
                raise OutputError(out / foreign[0], foreign[1], hint=_HINT)
            yield Place(out)
    finally:
        if made:
            with suppress(OSError):
                out.rmdir()  # nothing came of it


@contextmanager
def working(place: Place) -> Iterator[Path]:
    """A folder with ``new``, ``old`` and ``thumbnails``, removed when the block ends."""
    work = place.out / f"{_WORK}{secrets.token_hex(6)}{atomic.SUFFIX}"
    try:
        (work / "new" / FOLDER).mkdir(parents=True)
        (work / "old").mkdir()
        (work / "thumbnails").mkdir()
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def publish(work: Path, out: Path) -> None:
    """Swap the new files for the old ones; undo it all if a move fails."""
    new, old = work / "new", work / "old"
    moved: list[tuple[Path, Path]] = []
    came = [name for name in ALL if (new / name).exists()]
    atomic.write_text(work / _MOVING, json.dumps(came))
    try:
        for name in reversed(ALL):
            if (out / name).exists():
                moved.append(_move(out / name, old / name))
        for name in ALL:
            if (new / name).exists():
                moved.append(_move(new / name, out / name))
    except OSError:
        for source, target in reversed(moved):
            target.rename(source)
        raise
    (work / _MOVING).unlink()  # done: nothing is to be undone any more


def manifest(new: Path, pictures: Written) -> dict[str, Any]:
    """What ``query.json`` says of the other files of a run: digests, and the sizes of pictures.

    Exports compare the SHA-256 of pictures; where only folders are looked over, sizes have to do.

    Args:
        new: the folder with all files.
        pictures: those in its folder ``frames``, as they were made.
    """
    files: dict[str, Any] = {
        name: _digest(new / name) for name in ALL if (new / name).is_file() and name != QUERY
    }
    if (new / CLIPS).is_dir():
        pages = sorted((new / CLIPS).iterdir())
        files[CLIPS] = {path.name: path.stat().st_size for path in pages}
    if (new / FOLDER).is_dir():
        files[FOLDER] = dict(sorted(pictures.sizes.items()))
        files[PICTURES] = dict(sorted(pictures.digests.items()))
    return files


def foreign_file(out: Path) -> tuple[str, str] | None:
    """The first output in ``out`` that is not vidal's own: its name, and why; None = all are.

    Raises:
        OSError: the folder cannot be read.
    """
    there = [name for name in ALL if os.path.lexists(out / name) and not _is_empty(out / name)]
    if not there:
        return None
    content = _own_query(out / QUERY)
    if content is None:
        name = QUERY if QUERY in there else there[0]
        return _first_inside(out, name), "vidal did not write it, and it would be replaced"
    changed = "it was changed since vidal wrote it, and would be replaced"
    listed = content.get("files")
    if listed is None:  # of a version that kept no list: the names have to do
        names = {Path(row["file"]).name: None for row in content["frames"]}
        return _unlisted(out, FOLDER, names)
    if content_digest(content) != content.get("digest"):
        return QUERY, changed
    for name in there:
        if name in (QUERY, FOLDER, CLIPS):
            continue
        if not _is_plain(out / name) or name not in listed:
            return name, "vidal did not write it, and it would be replaced"
        if _digest(out / name) != listed[name]:
            return name, changed
    pairs = ((folder, listed.get(folder, {})) for folder in (FOLDER, CLIPS))
    return next(filter(None, (_unlisted(out, *pair) for pair in pairs)), None)


def _unlisted(out: Path, name: str, sizes: Mapping[str, int | None]) -> tuple[str, str] | None:
    """The first entry of a folder that is not listed, or not of its size (None = not known)."""
    folder = out / name
    if not os.path.lexists(folder):
        return None
    if folder.is_symlink() or not folder.is_dir():
        return name, "vidal did not write it, and it would be replaced"
    for path in sorted(folder.iterdir()):
        entry = f"{name}/{path.name}"
        if path.name not in sizes or not _is_plain(path):
            return entry, "vidal did not write it, and it would be removed"
        if sizes[path.name] not in (None, path.stat().st_size):
            return entry, "it was changed since vidal wrote it, and would be removed"
    return None


def _first_inside(out: Path, name: str) -> str:
    """The name, of a folder with a file in it."""
    if name not in (FOLDER, CLIPS) or not (out / name).is_dir():
        return name
    return next((f"{name}/{path.name}" for path in sorted((out / name).iterdir())), name)


def _own_query(path: Path) -> dict[str, Any] | None:
    """The content of a query file that vidal wrote; None = it is none."""
    if not _is_plain(path):
        return None
    try:
        content = read_content(path)
        return content if content["format"] == FORMAT and _has_frames(content) else None
    except FormatError:
        return None


def _has_frames(content: Mapping[str, Any]) -> bool:
    rows = content.get("frames")
    return isinstance(rows, list) and all(
        isinstance(row, dict) and isinstance(row.get("file"), str) for row in rows
    )


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def _clear_up(out: Path) -> None:
    """Undo, or remove, what runs that were killed have left. Nobody else is at work here."""
    for work in sorted(out.glob(f"{_WORK}*{atomic.SUFFIX}")):
        _undo_interrupted(work, out)
        shutil.rmtree(work)
    for old in sorted(out.glob(f".*{atomic.SUFFIX}")):
        if old.is_file():
            old.unlink()


def _undo_interrupted(work: Path, out: Path) -> None:
    """Put back what a run that was killed while it moved its files had taken away."""
    try:
        came = json.loads((work / _MOVING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    for name in came:
        if not (work / "new" / name).exists() and (out / name).exists():
            _move(out / name, work / "new" / name)
    for name in ALL:
        if (work / "old" / name).exists():
            _move(work / "old" / name, out / name)


def _move(source: Path, target: Path) -> tuple[Path, Path]:
    source.rename(target)
    return source, target


def cause(error: OSError) -> str:
    """What the system says, without the path."""
    return (error.strerror or str(error)).lower()
