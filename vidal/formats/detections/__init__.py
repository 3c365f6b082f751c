"""One's own detections, from files: whatever detector made them, nothing else of it is needed.

One module a format; the file says itself which one it is (see the modules' descriptions):
``coco_results``, ``supervision`` (JSON and CSV), ``fiftyone`` (JSON), ``frame_lines`` (JSON lines),
``text`` (KITTI, MOT and plain columns).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidal.errors import FormatError, InputError, UsageError
from vidal.formats._files import hidden, visible
from vidal.formats._rows import load_json
from vidal.formats._tree import is_file, is_folder
from vidal.formats.detections import coco_results, fiftyone, frame_lines, supervision, text
from vidal.formats.detections._found import (
    DetectedClip,
    DetectionFiles,
    FoundClip,
    Transform,
    settle,
)

__all__ = ["DetectedClip", "DetectionFiles", "Transform", "find_files", "read", "root_of"]

SUFFIXES = (".json", ".jsonl", ".txt", ".csv", ".txt.gz", ".csv.gz", ".jsonl.gz")
_LAYOUT_NAMES = frozenset(("det", "dets", "detections", "predictions", "results"))


def read(
    path: Path,
    *,
    images: Path | None = None,
    classes: Sequence[str] | None = None,
    transform: Transform = "none",
) -> DetectionFiles:
    """All detections of a file, of a folder with one file a clip, or of a pattern (``*``).

    Args:
        path: what the user named; see ``find_files``.
        images: the file with ``images`` and ``categories`` of COCO results.
        classes: names to keep, in this order; names by position where a format has none.
        transform: ``sigmoid`` for scores that are logits.

    Raises:
        InputError: nothing there, or it cannot be read.
        FormatError: a file of no known format, or a broken one; says where.
        UsageError: ``images`` with files that are no COCO results.
    """
    files = find_files(path)
    whole = is_file(path)
    clips: list[FoundClip] = []
    used = False
    for file, names in zip(files, _names(files), strict=True):
        try:
            found, coco = _read_file(file, names, images)
        except FormatError as error:
            if whole:
                raise
            raise _among_others(error, path) from error
        clips.extend(found)
        used = used or coco
        if not whole and coco:
            _known_once(file, clips)
    if images is not None and not used:
        raise UsageError(
            "--detections-images is for lists of COCO results only.", hint=f"{files[0]} is none."
        )
    return settle(clips, classes=classes, transform=transform)


def _among_others(error: FormatError, path: Path) -> FormatError:
    """The same, with the way out where the file is one of many."""
    shown = path / f"*{error.path.suffix}" if path.is_dir() else path
    way = f"If it holds no detections, move it away, or name the others by a pattern: '{shown}'."
    told = FormatError(error.path, "", error.why, hint=f"{error.hint} {way}".strip())
    told.where = error.where
    return told


def find_files(path: Path) -> list[Path]:
    """The detection files that a path means, sorted by name.

    Args:
        path: a file; a folder, searched with its subfolders for files of ``SUFFIXES``; or a
            pattern with ``*``, ``?`` or ``**`` in its last parts.

    Raises:
        InputError: nothing there.
    """
    if is_file(path):
        return [path]
    if is_folder(path):
        found = visible(path, *(f"*{suffix}" for suffix in SUFFIXES), deep=True)
    else:
        fixed = [part for part in path.parts if not set(part) & set("*?[")]
        if len(fixed) == len(path.parts):
            raise InputError(path, "no such file or folder")
        depth = next(at for at, part in enumerate(path.parts) if set(part) & set("*?["))
        start, pattern = Path(*path.parts[:depth]), "/".join(path.parts[depth:])
        found = [f for f in start.glob(pattern) if not hidden(f.relative_to(start)) and is_file(f)]
    if not found:
        raise InputError(path, "no detection files", hint=f"Expected {', '.join(SUFFIXES)}.")
    return sorted(found)


def root_of(path: Path) -> Path:
    """The folder that holds all files that a path means: of a pattern its parts without ``*``."""
    if is_folder(path):
        return path
    wild = [at for at, part in enumerate(path.parts) if set(part) & set("*?[")]
    return path.parent if is_file(path) or not wild else Path(*path.parts[: wild[0]])


def _bare(file: Path) -> str:
    name = file.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return file.stem


def _names(files: Sequence[Path]) -> list[tuple[str, ...]]:
    """What each file may be called: its path without suffix, and its name or its folder's.

    Where several files share one name, or the name is a word such as ``det``, the folder is the
    clip: ``MOT17-02/det/det.txt`` is ``MOT17-02``.
    """
    bare = [_bare(file) for file in files]
    names, folders = Counter(bare), Counter(file.parent for file in files)
    result = []
    for file, name in zip(files, bare, strict=True):
        parts = [part for part in file.parent.absolute().parts[1:] if part not in _LAYOUT_NAMES]
        folder = parts[-1:] if folders[file.parent] == 1 else []
        shared = names[name] > 1 or name in _LAYOUT_NAMES
        result.append((*folder, name) if shared else (name, *folder))
    return result


def _read_file(
    file: Path, names: tuple[str, ...], images: Path | None
) -> tuple[list[FoundClip], bool]:
    """The clips of a file, and whether it is a list of COCO results."""
    lower = file.name.lower().removesuffix(".gz")
    if lower.endswith(".jsonl"):
        return list(frame_lines.read(file, names)), False
    if lower.endswith(".csv") and supervision.is_csv(file):
        return list(supervision.read_csv(file, names)), False
    if not lower.endswith(".json"):
        return list(text.read(file, names)), False
    value = load_json(file)
    if isinstance(value, dict) and "samples" in value:
        return list(fiftyone.read(file, value)), False
    if isinstance(value, dict) and "images" in value:
        return list(coco_results.read(file, value, None)), False
    if isinstance(value, list) and (not value or _is_result(value[0])):
        if value or images is not None:
            return list(coco_results.read(file, value, images)), True
        return list(supervision.read(file, value, names)), False
    if isinstance(value, list) and isinstance(value[0], dict | list):
        return list(supervision.read(file, value, names)), False
    raise FormatError(
        file,
        "",
        "none of the known kinds of detections",
        hint="COCO results, supervision or FiftyOne JSON, JSON lines, KITTI or MOT text.",
    )


def _is_result(item: Any) -> bool:
    return isinstance(item, dict) and "image_id" in item


def _known_once(file: Path, clips: Sequence[FoundClip]) -> None:
    """Results that are spread over files would list every image again for each."""
    seen: set[tuple[str, ...]] = set()
    for clip in clips:
        if clip.names in seen:
            raise FormatError(file, "", f"{clip.names[0]} is in an earlier file already")
        seen.add(clip.names)
