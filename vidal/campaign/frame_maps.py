"""Frame maps of vidal's own exports, where they come back with the answers.

``frame_map.json`` (a list of rows, or an object with the list under ``frames``) or
``frame_map.csv``: clip, ordinal, file and context of every picture that was exported. Pictures of
the context were not to be annotated: whatever a tool says of them is no answer.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from vidal.errors import FormatError
from vidal.formats._files import FREE, read_bytes, reporting
from vidal.formats._names import LONGEST
from vidal.formats._rows import json_of
from vidal.formats._tree import decoded, is_folder, is_zip
from vidal.types import FrameRef

NAMES = ("frame_map.json", "frame_map.csv")
_TRUE = ("true", "1", "yes")


@dataclass(slots=True)
class FrameMap:
    """What exports say of their pictures.

    Attributes:
        frames: name of a picture, without folders and suffix -> its frame.
        context: frames that were not to be annotated.
    """

    frames: dict[str, FrameRef] = field(default_factory=dict)
    context: set[FrameRef] = field(default_factory=set)

    def find(self, name: str) -> FrameRef | None:
        """The frame of a picture."""
        return self.frames.get(PurePosixPath(name.replace("\\", "/")).stem)


def read_frame_maps(path: Path) -> FrameMap:
    """The maps that lie in a folder or zip, or beside a file.

    Args:
        path: what is imported.

    Raises:
        InputError, FormatError: one cannot be read, or two give one name to different frames.
    """
    found = FrameMap()
    maps = _packed(path) if is_zip(path) else _lying(path)
    twins = {file.with_suffix("") for file in maps if file.suffix == ".json"}
    for file, data in maps.items():
        if file.suffix == ".json" or file.with_suffix("") not in twins:
            _take(file, decoded(file, data), found)
    return found


def _lying(path: Path) -> dict[Path, bytes]:
    """The maps in a folder, or beside a file. Readers of labels pass over them."""
    files = path.rglob("frame_map.*") if is_folder(path) else path.parent.glob("frame_map.*")
    return {file: read_bytes(file) for file in sorted(files) if file.name in NAMES}


def _packed(path: Path) -> dict[Path, bytes]:
    """The maps in a zip."""
    with reporting(path), zipfile.ZipFile(path) as archive:
        named = [i for i in archive.infolist() if PurePosixPath(i.filename).name in NAMES]
        found = {}
        for info in named:
            with archive.open(info) as stream:
                found[path / info.filename] = stream.read(FREE + 1)
            if len(found[path / info.filename]) > FREE:
                raise FormatError(path, info.filename, f"a frame map of more than {FREE >> 20} MB")
    return found


def _take(file: Path, text: str, found: FrameMap) -> None:
    for number, row in enumerate(_rows(file, text)):
        where = f"row {number}"
        try:
            ref = FrameRef(str(row["clip"]), int(row["ordinal"]))
            name = PurePosixPath(str(row["file"])).stem
        except (LookupError, ValueError, TypeError) as error:
            why = "expected clip, ordinal and file of a picture"
            raise FormatError(file, where, why) from error
        if not 0 <= ref.index < LONGEST:
            raise FormatError(file, where, f"frame {ref.index} of {ref.clip!r:.80}")
        if name and found.frames.setdefault(name, ref) != ref:
            raise FormatError(file, where, f"{name!r:.80} is {found.frames[name]}, too")
        if str(row.get("context", "")).lower() in _TRUE:
            found.context.add(ref)


def _rows(file: Path, text: str) -> Iterable[Mapping[str, Any]]:
    if file.suffix.lower() == ".csv":
        try:
            return list(csv.DictReader(io.StringIO(text, newline="")))
        except csv.Error as error:
            raise FormatError(file, "", f"not CSV ({error})") from error
    value = json_of(file, "", text)
    rows = value.get("frames") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FormatError(file, "", "not a frame map")
    return rows
