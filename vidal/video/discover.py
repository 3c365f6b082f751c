"""Finding clips: files, folders of files, nested folders, folders of numbered images.

A folder is one clip where at least two of its images have a number in their names and no video
lies beside them (images beside videos are posters and screenshots, not a recording). One numbered
image alone is not a clip. Hidden files and folders are ignored. What looks like a clip and cannot
be one is listed with the cause, and so is what vidal itself wrote: its pictures are no recording.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidal.errors import NoClips
from vidal.types import SkippedClip
from vidal.video import numbers
from vidal.video.headers import holds_video
from vidal.video.numbers import DIGITS, natural_key

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "Found", "discover", "find_clips", "natural_key"]

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".264", ".265", ".360", ".3g2", ".3gp", ".asf", ".avi", ".dav", ".divx", ".dv", ".f4v", ".flv",
    ".h264", ".h265", ".hevc", ".insv", ".ivf", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg",
    ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".tod",
    ".ts", ".vob", ".webm", ".wmv", ".y4m",
))
"""Suffixes of files that are taken for videos when a folder is searched."""

IMAGE_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".webp"))
"""Suffixes of the images that a folder clip may consist of."""

_OTHER_SUFFIXES = frozenset((
    ".aac", ".avif", ".bin", ".cfg", ".csv", ".db", ".flac", ".gif", ".gpx", ".gz", ".heic",
    ".heif", ".html", ".ini", ".json", ".jsonl", ".log", ".m4a", ".md", ".mka", ".mp3", ".npy",
    ".npz", ".ogg", ".opus", ".pdf", ".pt", ".pth", ".py", ".safetensors", ".sqlite", ".srt",
    ".svg", ".tar", ".tif", ".tiff", ".toml", ".txt", ".vtt", ".wav", ".xml", ".yaml", ".yml",
    ".zip",
))
"""Suffixes of files that are not looked into; those of any other suffix may hold video."""

_OTHER_IMAGES = frozenset((
    ".avif", ".dng", ".exr", ".gif", ".heic", ".heif", ".jp2", ".pgm", ".pnm", ".ppm", ".raw",
    ".tga", ".tif", ".tiff",
))
"""Suffixes of images that are not read."""
# fmt: on

_UNFINISHED = frozenset((".crdownload", ".download", ".part", ".partial", ".tmp"))
_PREVIEWS = frozenset((".lrf", ".lrv"))

_QUERY, _FORMAT = "query.json", b"vidal-query"  # as vidal.report writes them
_PICTURES, _WRITING = "frames", ".writing-"
_RECORD, _OF_CAMPAIGN = "campaign.sqlite", ("evidence", "models", "queries")


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at or below a path: the clips in natural order, and what was passed over."""

    clips: list[Path]
    skipped: list[SkippedClip]


def discover(path: Path) -> Found:
    """The clips at or below a path; of files with an unknown suffix the first bytes are read.

    Args:
        path: a file (taken as a clip whatever its suffix, unless it is an image), or a folder that
            is searched to any depth. A folder of numbered images is one clip: its own path.

    Raises:
        NoClips: the path is missing, is neither a file nor a folder, or holds neither a video nor
            numbered images.
    """
    path = Path(path)
    mode, why = _mode(path)
    if mode is None:
        raise NoClips(path, why)
    if stat.S_ISREG(mode):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise NoClips(path, "is a single image", hint="Give the folder of numbered images.")
        return Found([path], [])
    if not stat.S_ISDIR(mode):
        raise NoClips(path, _special(mode), hint="Give a video file or a folder of clips.")
    if _own(path.absolute()):
        hint = "To use these pictures as a recording, copy them to another folder."
        raise NoClips(path, "holds what vidal wrote, no recording", hint=hint)
    walk = _Walk()
    walk.folder(path)
    if not walk.clips:
        raise NoClips(path, _what_was_seen(walk.seen) + _first(walk.skipped))
    clips = sorted(walk.clips, key=lambda c: [natural_key(p) for p in c.relative_to(path).parts])
    return Found(clips, sorted(walk.skipped, key=lambda each: natural_key(str(each.path))))


def find_clips(path: Path) -> list[Path]:
    """The clips that ``discover`` finds, without what was passed over.

    Raises:
        NoClips: as ``discover``.
    """
    return discover(path).clips


def numbered_images(folder: Path) -> tuple[list[Path], list[int]]:
    """The images of a folder clip and their numbers, both increasing.

    The number is the group of digits that differs between the names (``cam2_0001.jpg``: 1), or that
    follows what all names begin with (before a random suffix). Where several groups differ
    (``12.50.jpg``), the numbers are the ranks in natural order; where they are decimals of several
    lengths (``10.04``, ``10.2``), the ranks in order of time; where they are times in small units,
    counts of the usual step.

    Raises:
        UnreadableClip: two images share a number, a number does not fit 64 bits, or it is not clear
            which digits number the images.
        OSError: the folder cannot be read.
    """
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return numbers.order(folder, _with_numbers([e for e in entries if not e.is_dir()]))


def _with_numbers(entries: Sequence[Path]) -> list[Path]:
    """Links that lead nowhere among them: their frames keep their places, without a picture."""
    return [
        entry
        for entry in entries
        if entry.suffix.lower() in IMAGE_SUFFIXES and DIGITS.search(entry.stem)
    ]


class _Walk:
    """Searches folders; collects clips, what was passed over, and the suffixes met."""

    def __init__(self) -> None:
        self.clips: list[Path] = []
        self.skipped: list[SkippedClip] = []
        self.seen: Counter[str] = Counter()
        self._visited: set[str] = set()

    def folder(self, folder: Path) -> None:
        real = os.path.realpath(folder)
        if real in self._visited:  # a link that leads back up
            return
        self._visited.add(real)
        try:
            entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
        except OSError as error:
            self._skip(folder, f"this folder cannot be read ({_words(error)})")
            return
        files, folders = [], []
        for entry in entries:
            mode, why = _mode(entry)
            if mode is not None and stat.S_ISDIR(mode):
                folders.append(entry)
            elif (mode is not None and stat.S_ISREG(mode)) or _is_image(entry):
                files.append(entry)
            elif entry.suffix.lower() not in _OTHER_SUFFIXES:
                self._skip(entry, why if mode is None else _special(mode))
        self.seen.update(file.suffix.lower() or "no suffix" for file in files)
        videos = [file for file in files if self._is_video(file)]
        self.clips += videos
        if not videos and len(_with_numbers(files)) > 1:
            self.clips.append(folder)
        elif not videos:
            self._skip_pictures(folder, files)
        for entry in folders:
            if _own(entry):
                self._skip(entry, "was written by vidal, is no recording")
            else:
                self.folder(entry)

    def _skip_pictures(self, folder: Path, files: Sequence[Path]) -> None:
        """Name a folder of several pictures that make no clip."""
        pictures = Counter(
            suffix
            for suffix in (file.suffix.lower() for file in files)
            if suffix in IMAGE_SUFFIXES or suffix in _OTHER_IMAGES
        )
        if pictures.total() < 2:
            return
        kinds = ", ".join(sorted(pictures))
        if pictures.keys() & IMAGE_SUFFIXES:
            why = "have no numbers in their names that would order them"
        else:
            why = f"are not read; those that are: {', '.join(sorted(IMAGE_SUFFIXES))}"
        self._skip(folder, f"its {pictures.total()} pictures ({kinds}) {why}")

    def _is_video(self, file: Path) -> bool:
        suffix = file.suffix.lower()
        if suffix in VIDEO_SUFFIXES:
            return True
        if suffix in IMAGE_SUFFIXES or suffix in _OTHER_SUFFIXES or not holds_video(file):
            return False
        if suffix in _UNFINISHED:
            self._skip(file, "seems to be a download that is not finished; rename it to use it")
        elif suffix in _PREVIEWS:
            self._skip(file, "is a camera's small copy of a recording; rename it to use it")
        else:
            return True
        return False

    def _skip(self, path: Path, reason: str) -> None:
        self.skipped.append(SkippedClip(path, reason))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _mode(path: Path) -> tuple[int | None, str]:
    """The file mode behind links; None and the cause where there is nothing."""
    try:
        return path.stat().st_mode, ""
    except FileNotFoundError:
        return None, "a link that leads nowhere" if path.is_symlink() else "no such file or folder"
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        return None, _words(error)


def _special(mode: int) -> str:
    kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    kind = next((name for test, name in kinds if test(mode)), "device")
    return f"is a {kind}, not a file or a folder"


def _own(folder: Path) -> bool:
    """Whether vidal wrote a folder: pictures of a query, or parts of a campaign."""
    beside = folder.parent
    if folder.name == _PICTURES:
        return _is_written(beside) or _is_query(beside / _QUERY)
    return folder.name in _OF_CAMPAIGN and (beside / _RECORD).is_file()


def _is_written(folder: Path) -> bool:
    """Whether a run that writes its result there is at work, or was killed."""
    try:
        return any(each.name.startswith(_WRITING) and each.is_dir() for each in folder.iterdir())
    except OSError:
        return False


def _is_query(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return _FORMAT in stream.read(4096)
    except OSError:
        return False


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _first(skipped: Sequence[SkippedClip]) -> str:
    if not skipped:
        return ""
    first = skipped[0]
    return f"; {len(skipped)} passed over, the first, {first.path.name}: {first.reason}"


def _what_was_seen(seen: Counter[str]) -> str:
    total = seen.total()
    if not total:
        return "holds no files"
    kinds = ", ".join(sorted(seen)[:6]) + (", ..." if len(seen) > 6 else "")
    files = "1 file, not a video" if total == 1 else f"{total} files, none of them a video"
    images = sum(count for suffix, count in seen.items() if suffix in IMAGE_SUFFIXES)
    if images:
        files += " and no folder with two or more numbered images"
    return f"holds {files} ({kinds})"
