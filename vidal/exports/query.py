"""A query's folder, checked picture by picture, as frames that can go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vidal.errors import FormatError, InputError
from vidal.exports import archive, proposals
from vidal.exports.bundle import Shot
from vidal.exports.proposals import Proposals
from vidal.report.frames import FOLDER, frame_names
from vidal.report.place import PICTURES, QUERY
from vidal.report.query_files import QueryFile, QueryFrame, read_content, read_query
from vidal.types import FrameRef


@dataclass(frozen=True, slots=True)
class QueryFolder:
    """What a selection has left in a folder.

    Attributes:
        folder: where.
        query: its frames.
        classes: of the detector that looked; empty where none did.
        written: clip id -> its path as the query file states it.
        proposals: the pre-annotations.
        sizes: name of a picture -> its bytes; digests: name -> SHA-256 (of queries that state it).
    """

    folder: Path
    query: QueryFile
    classes: tuple[str, ...]
    written: Mapping[str, str]
    proposals: Proposals
    sizes: Mapping[str, int]
    digests: Mapping[str, str]

    def names(self) -> dict[FrameRef, str]:
        """The names of the pictures; also of frames that have none."""
        plain = frame_names([frame.ref for frame in self.query.frames])
        given = {frame.ref: PurePosixPath(frame.file).name for frame in self.query.frames}
        return {ref: given[ref] or name for ref, name in plain.items()}

    def shot(self, frame: QueryFrame, name: str, way_out: str) -> Shot:
        """A frame with its picture.

        Raises:
            InputError: the picture is not there, or not the one that was written.
        """
        picture = self.folder / frame.file if frame.file else None
        digest = "" if picture is None else self._checked(picture, way_out)
        return Shot(
            ref=frame.ref,
            name=name,
            picture=picture,
            sha256=digest,
            pts=frame.pts,
            time_base=frame.time_base,
            seconds=frame.seconds,
            rank=frame.rank,
            score=frame.score,
            reason=frame.reason,
        )

    def _checked(self, picture: Path, way_out: str) -> str:
        try:
            if picture.is_symlink() or not picture.is_file():
                why = "the picture is not there" if not picture.exists() else "it is no plain file"
                raise InputError(picture, why, hint=f"Write it again: {way_out}.")
            size, digest = picture.stat().st_size, archive.sha256(picture)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise InputError(picture, why, hint=f"Write it again: {way_out}.") from error
        name = picture.name
        if self.sizes.get(name, size) != size or self.digests.get(name, digest) != digest:
            why = "the picture was changed since vidal wrote it"
            raise InputError(picture, why, hint=f"Move it away, and write it again: {way_out}.")
        return digest


def read(folder: Path, way_out: str) -> QueryFolder:
    """The folder of a query; pictures are checked when they are asked for.

    Args:
        folder: with a ``query.json``.
        way_out: the command that writes its files again, for hints.

    Raises:
        InputError: it cannot be read.
        FormatError: its files are not those of a query.
    """
    path = folder / QUERY
    try:
        content, query = read_content(path), read_query(path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(path, why, hint=f"Write it again: {way_out}.") from error
    files = _object(path, content, "files")
    for frame in query.frames:
        place = PurePosixPath(frame.file)
        if frame.file and (len(place.parts) != 2 or place.parts[0] != FOLDER):
            raise FormatError(path, "file", f"{frame.file!r} is not in {FOLDER}")
    return QueryFolder(
        folder=folder,
        query=query,
        classes=tuple(map(str, content.get("classes") or ())),
        written={str(row["clip"]): str(row["path"]) for row in content["frames"]},
        proposals=proposals.read(folder / proposals.FILE, f"Write it again: {way_out}."),
        sizes=_object(path, files, FOLDER),
        digests=_object(path, files, PICTURES),
    )


def _object(path: Path, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise FormatError(path, key, "not an object")
    return value
