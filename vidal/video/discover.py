"""Finding clips: files, folders of files, nested folders, folders of numbered images.

A folder is one clip where at least two of its images have a number in their names and no video
lies beside them (images beside videos are posters and screenshots, not a recording). One numbered
image alone is not a clip. Hidden files and folders are ignored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from vidal.errors import NoClips, UnreadableClip

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".3g2", ".3gp", ".264", ".265", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264",
    ".h265", ".hevc", ".ivf", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4",
    ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".ts", ".vob", ".webm", ".wmv",
    ".y4m",
))
# fmt: on
"""Suffixes of files that are taken for videos when a folder is searched."""

IMAGE_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".webp"))
"""Suffixes of the images that a folder clip may consist of."""

_DIGITS = re.compile(r"(\d+)")
_LARGEST = 2**63 - 1


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key under which ``clip2`` comes before ``clip10``; total and deterministic."""
    parts = [part for part in _DIGITS.split(text) if part]
    folded = tuple(
        (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts
    )
    return (*folded, (2, 0, text))


def find_clips(path: Path) -> list[Path]:
    """The clips at or below a path, in natural order; nothing is opened.

    Args:
        path: a file (taken as a clip whatever its suffix, unless it is an image), or a folder that
            is searched to any depth. A folder of numbered images is one clip: its own path.

    Raises:
        NoClips: the path is missing, or holds neither a video nor numbered images.
    """
    path = Path(path)
    if not path.exists():
        raise NoClips(path, "no such file or folder")
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise NoClips(path, "is a single image", hint="Give the folder of numbered images.")
        return [path]
    seen: Counter[str] = Counter()
    found = list(_walk(path, seen, set()))
    if not found:
        raise NoClips(path, _what_was_seen(seen))
    return sorted(found, key=lambda clip: [natural_key(p) for p in clip.relative_to(path).parts])


def numbered_images(folder: Path) -> tuple[list[Path], list[int]]:
    """The images of a folder clip and their numbers, both increasing.

    The number is the group of digits that differs between the names (``cam2_0001.jpg``: 1). Where
    several groups differ (``12.50.jpg``), the numbers are the ranks in natural order.

    Raises:
        UnreadableClip: two images share a number, or a number does not fit 64 bits.
    """
    files = _with_numbers(_visible(folder))
    groups = [tuple(int(digits) for digits in _DIGITS.findall(file.stem)) for file in files]
    shapes = {_DIGITS.sub("#", file.stem) for file in files}
    if len(shapes) == 1:
        varying = [n for n, column in enumerate(zip(*groups, strict=True)) if len(set(column)) > 1]
    else:
        varying = [-1]
    if len(varying) > 1:
        return sorted(files, key=lambda file: natural_key(file.name)), list(range(len(files)))
    at = varying[0] if varying else -1
    pairs = sorted(
        ((group[at], file) for group, file in zip(groups, files, strict=True)),
        key=lambda pair: (pair[0], pair[1].name),
    )
    _check_numbers(folder, pairs)
    return [file for _, file in pairs], [number for number, _ in pairs]


def _check_numbers(folder: Path, pairs: Sequence[tuple[int, Path]]) -> None:
    for (one, first), (two, second) in pairwise(pairs):
        if one == two:
            raise UnreadableClip(
                folder,
                f"two images have the number {one}: {first.name} and {second.name}",
                hint="Put the images of each camera in a folder of their own.",
            )
    if pairs and pairs[-1][0] > _LARGEST:
        raise UnreadableClip(folder, f"the number of {pairs[-1][1].name} does not fit 64 bits")


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _with_numbers(entries: Sequence[Path]) -> list[Path]:
    return [
        entry
        for entry in entries
        if entry.suffix.lower() in IMAGE_SUFFIXES and _DIGITS.search(entry.stem) and entry.is_file()
    ]


def _walk(folder: Path, seen: Counter[str], visited: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in visited:  # a link that leads back up
        return
    visited.add(real)
    try:
        entries = _visible(folder)
    except PermissionError:
        seen["unreadable folders"] += 1
        return
    files = [entry for entry in entries if entry.is_file()]
    seen.update(file.suffix.lower() or "no suffix" for file in files)
    videos = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    yield from videos
    if not videos and len(_with_numbers(files)) > 1:
        yield folder
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry, seen, visited)


def _what_was_seen(seen: Counter[str]) -> str:
    closed = seen.pop("unreadable folders", 0)
    note = f" ({closed} folders may not be read)" if closed else ""
    total = seen.total()
    if not total:
        return f"holds no files{note}"
    kinds = ", ".join(sorted(seen)[:6]) + (", ..." if len(seen) > 6 else "")
    files = "1 file, not a video" if total == 1 else f"{total} files, none of them a video"
    images = sum(count for suffix, count in seen.items() if suffix in IMAGE_SUFFIXES)
    if images:
        files += " and no folder with two or more numbered images"
    return f"holds {files} ({kinds}){note}"
