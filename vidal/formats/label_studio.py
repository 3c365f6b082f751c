"""Label Studio JSON: image tasks (the default) and video tasks, reading exports, writing imports.

Frames in Label Studio count from 1 and boxes are in percent of the image; both are converted here
and nowhere else. Its count of a video's frames can differ from the decoder's, which shifts every
box in silence: ``framesCount`` is therefore checked against the length of the clip wherever that is
known, and vidal sends single images by default.

A task without annotations, or with cancelled ones only, is not annotated; an annotation with an
empty result is annotated and empty. Of several annotations of one task the newest counts, the
others are listed. Rectangles are read, also turned ones, and polygons and ellipses, as their
extents. A frame with a region that has no extent (key points, brushes) or not one label, or with a
box that cannot be meant, is not annotated, and listed: what is left out must not become background.

Video regions (checked against Label Studio's own interpolation): a box moves linearly from a key
frame that is ``enabled`` to the next one; it is visible on every key frame; a key frame that is not
enabled is the last of its stretch; the last key frame, if enabled, holds to the end of the video.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from vidal.errors import FormatError
from vidal.formats._label_studio_min import is_minimal, rows_of_table, tasks_of
from vidal.formats._label_studio_regions import (
    NO_OBJECT,
    Percent,
    extent,
    labels_of,
    pixels,
    rectangle,
    together,
)
from vidal.formats._label_studio_tables import ClipTasks, tables
from vidal.formats._label_studio_tracks import Tracks
from vidal.formats._label_studio_write import config as config
from vidal.formats._label_studio_write import write as write
from vidal.formats._names import Names, believable, of_clip, resolver
from vidal.formats._notes import CERTAINTY, VERDICT
from vidal.formats._relabel import Relabel
from vidal.formats._rows import load_json
from vidal.formats._xml import shown
from vidal.types import FrameRef, LabelledClip, Skipped

_IMAGES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"))
_VIDEOS = frozenset((".mp4", ".webm", ".mov", ".avi", ".mkv", ".m4v", ".ts", ".ogv"))


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    names: Names = None,
    source: Literal["annotations", "predictions"] = "annotations",
    frames: Mapping[str, int] | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    relabel: Relabel | None = None,
) -> Iterator[LabelledClip]:
    """Clips of an export as JSON, JSON-MIN, CSV or TSV, in the order of their first tasks.

    The frame of an image task is ``data.clip`` and ``data.index`` where vidal wrote them, else the
    name of the image says it; the clip of a video task is ``data.clip``, else the video's stem. The
    image or video is ``data.image`` or ``data.video``, else the one value that names such a file.

    Args:
        path: the JSON file (plain, gzip, or the only one of a zip), or the ``.csv`` or ``.tsv``.
        classes: class names; None = those met, in order. Other names give class -1.
        skipped: receives what is left out: regions without extent or label, older annotations.
        names: from an image's name to its frame.
        source: whether people's answers or a model's are read.
        frames: lengths of clips, where known, by name or clip id; a video task that states another
            one is refused.
        sizes: (height, width) of clips, by name or clip id; used where the file states none.
        relabel: gives some labels the class that a choice for the region holds.

    Raises:
        InputError: the file cannot be read.
        FormatError: a broken file, a frame twice, or a wrong count of frames; says the task.
    """
    path = Path(path)
    table = any(suffix in (".csv", ".tsv") for suffix in path.suffixes[-2:])
    tasks = rows_of_table(path) if table else load_json(path, "*.json")
    if table or is_minimal(tasks):
        tasks = tasks_of(path, tasks)
    if not isinstance(tasks, list):
        raise FormatError(path, "", "expected a list of tasks", hint=_EXPORT)
    reader = _Reader(path, Skipped() if skipped is None else skipped, names, source)
    reader.frames, reader.sizes = frames or {}, sizes or {}
    reader.relabel = Relabel() if relabel is None else relabel
    for number, task in enumerate(tasks):
        reader.task(f"task {number}", task)
    yield from tables(path, reader.found, reader.sizes, classes, reader.skipped)


_EXPORT = 'Export as "JSON", not "JSON-MIN".'


class _Reader:
    """One pass over the tasks of one file."""

    def __init__(self, path: Path, skipped: Skipped, names: Names, source: str) -> None:
        self.path = path
        self.skipped = skipped
        self.resolve = resolver(names)
        self.source = source
        self.frames: Mapping[str, int] = {}
        self.sizes: Mapping[str, tuple[int, int]] = {}
        self.relabel = Relabel()
        self.found: dict[str, ClipTasks] = {}

    def task(self, where: str, task: Any) -> None:
        if isinstance(task, dict) and not {"data", "annotations", "predictions"} & task.keys():
            why = "'data' is missing: not a task"
            raise FormatError(self.path, where, why, hint=_EXPORT)
        data = self._part(where, task, "data", dict)
        results, skips = self._results(where, task)
        kind, url = self._medium(where, data)
        try:
            place = location(url)
        except ValueError as error:
            raise FormatError(self.path, where, f"{kind}: {shown(url)} is not a URL") from error
        if kind == "video":
            self._video(where, data, place, results)
        else:
            self._image(where, data, place, results, skips)

    def _medium(self, where: str, data: dict[str, Any]) -> tuple[Literal["image", "video"], str]:
        """What is labelled, and its URL; the key follows the project's configuration."""
        if isinstance(data.get("video"), str):
            return "video", data["video"]
        if isinstance(data.get("image"), str):
            return "image", data["image"]
        found: list[tuple[Literal["image", "video"], str]] = []
        for value in data.values():
            if isinstance(value, str) and "." in value[-2048:]:
                suffix = _suffix(value)
                found += [("image", value)] if suffix in _IMAGES else []
                found += [("video", value)] if suffix in _VIDEOS else []
        if len(found) == 1:
            return found[0]
        keys = ", ".join(map(shown, list(data)[:5])) or "nothing"
        what = "neither 'image' nor 'video'" if not found else f"{len(found)} images or videos"
        raise FormatError(self.path, where, f"data has {what} (it has {keys})")

    def _part(self, where: str, value: Any, key: str, kind: type | tuple[type, ...]) -> Any:
        found = value.get(key) if isinstance(value, dict) else None
        if not isinstance(found, kind):
            name = kind.__name__ if isinstance(kind, type) else "number"
            raise FormatError(self.path, where, f"{key!r} is missing or not a {name}")
        return found

    def _results(self, where: str, task: dict[str, Any]) -> tuple[list[Any] | None, bool]:
        """The regions that count, None = not annotated; and whether the task was skipped."""
        if "annotations" not in task and "predictions" not in task:
            raise FormatError(self.path, where, "no 'annotations'", hint=_EXPORT)
        answers = task.get(self.source) or []
        if not isinstance(answers, list) or not all(isinstance(a, dict) for a in answers):
            raise FormatError(self.path, where, f"{self.source!r} is not a list of objects")
        valid = [answer for answer in answers if not answer.get("was_cancelled")]
        if not valid:
            return None, bool(answers)
        newest = max(valid, key=_made)
        for answer in valid:
            if answer is not newest:
                self.skipped.add(self.path, where, f"{self.source[:-1]} superseded by a newer one")
        results: list[Any] = self._part(where, newest, "result", list)
        return results, False

    # images

    def _image(
        self,
        where: str,
        data: dict[str, Any],
        name: str,
        results: list[Any] | None,
        skips: bool,
    ) -> None:
        ref = self._ref(where, data, name)
        if ref is None:
            self.skipped.add(self.path, where, f"name {shown(name)} does not say which frame it is")
            return
        length = of_clip(self.frames, ref.clip)
        if ref.index < 0 or (length is not None and ref.index >= length):
            raise FormatError(self.path, where, f"{ref}: the clip has {length} frames")
        believable(self.path, where, ref.index + 1)
        clip = self.found.setdefault(ref.clip, ClipTasks(frames=length, known=length is not None))
        if clip.video or ref.index in clip.seen:
            raise FormatError(self.path, where, f"{ref} twice")
        clip.seen.add(ref.index)
        if results is None:
            clip.refused.update({ref.index} if skips else ())
            return
        clip.labelled.add(ref.index)
        objects: list[tuple[str, dict[str, Any]]] = []
        chosen: dict[str, dict[str, Any]] = {}
        for number, result in enumerate(results):
            place = f"{where}, result {number}"
            kind = self._part(place, result, "type", str)
            if result.get("from_name") in (VERDICT, CERTAINTY) and kind in NO_OBJECT:
                continue  # what vidal said of its own proposals
            if kind in NO_OBJECT:
                if not _chooses(result, chosen, self.relabel.attributes.values()):
                    why = f"region {shown(kind)} is not a labelled box"
                    self.skipped.add(self.path, place, why)
                continue
            self._stated(place, result, clip)
            objects.append((place, result))
        for region in together(objects):
            self._region(region, ref, clip, chosen)

    def _ref(self, where: str, data: dict[str, Any], image: str) -> FrameRef | None:
        name, index = data.get("clip"), data.get("index")
        if name is None or index is None:
            return self.resolve(image)  # one alone is a column of the user's own
        if not isinstance(name, str) or type(index) is not int:
            raise FormatError(self.path, where, "data.clip and data.index: expected text and int")
        return FrameRef(name, index)

    def _stated(self, where: str, result: dict[str, Any], clip: ClipTasks) -> None:
        """Take in the size of the image, where a region states it."""
        sides = ("original_height", "original_width")
        if any(result.get(side) is None for side in sides):
            return
        height, width = (pixels(self.path, where, result, side) for side in sides)
        if clip.size not in (None, (height, width)):
            raise FormatError(self.path, where, f"{width} x {height}: images of a clip differ")
        clip.size = (height, width)

    def _region(
        self,
        group: list[tuple[str, Any]],
        ref: FrameRef,
        clip: ClipTasks,
        chosen: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """One region: a result, or two of one id where shape and label are separate controls.

        ``chosen``: id of a region -> what was chosen for it, by the name of the control.
        """
        shape: Percent | None = None
        labels: list[str] = []
        for where, result in group:
            kind, value = result["type"], self._part(where, result, "value", dict)
            if shape is None and not result.get("image_rotation"):
                shape = extent(self.path, where, kind, value)
            if kind.endswith("labels"):
                labels += [name for name in labels_of(value.get(kind)) if name not in labels]
        where = group[0][0]
        why = f"region has {len(labels)} labels" if len(labels) != 1 else ""
        if shape is None:
            why = f"region {shown(group[0][1]['type'])} has no box"
        if shape is None or len(labels) != 1:
            clip.incomplete.add(ref.index)
            self.skipped.add(self.path, where, f"{why}: {ref} waits")
            return
        values = chosen.get(str(group[0][1].get("id")), {})
        label = self.relabel(self.path, where, labels[0], values)
        clip.rows.append((ref.index, shape, label, where))

    # videos

    def _video(
        self, where: str, data: dict[str, Any], file: str, results: list[Any] | None
    ) -> None:
        name = data.get("clip", PurePosixPath(file.strip("/")).with_suffix("").as_posix())
        if not isinstance(name, str) or name in self.found:
            raise FormatError(self.path, where, f"clip {shown(name)} twice or not a text")
        clip = ClipTasks(video=file, answered=results is not None)
        clip.name = None if "clip" in data else PurePosixPath(file).stem
        self.found[name] = clip
        if data.get("width") is not None and data.get("height") is not None:
            clip.size = (
                pixels(self.path, where, data, "height"),
                pixels(self.path, where, data, "width"),
            )
        clip.size = clip.size or of_clip(self.sizes, name)
        clip.frames = of_clip(self.frames, name)
        clip.known = clip.frames is not None
        if data.get("frames") is not None:
            self._count(f"{where}, data.frames", data["frames"], clip)
        regions, others = [], []
        for number, result in enumerate(results or []):
            at = f"{where}, result {number}"
            kind = self._part(at, result, "type", str)
            if kind in NO_OBJECT:
                self.skipped.add(self.path, at, f"region {shown(kind)} is not a video box")
            elif kind == "videorectangle":
                value = self._part(at, result, "value", dict)
                self._count(f"{at}, framesCount", value.get("framesCount"), clip)
                regions.append((at, result.get("id"), value))
            else:
                others.append(at)
                why = f"region {shown(kind)} is not a video box: all frames of {name!r} wait"
                self.skipped.add(self.path, at, why)
        if clip.frames is None:
            hint = "Give the lengths of the clips."
            raise FormatError(self.path, where, f"length of {name!r} is not stated", hint=hint)
        if regions and clip.size is None:
            hint = "Give the sizes of the clips."
            raise FormatError(self.path, where, "size of the video is not stated", hint=hint)
        clip.answered = clip.answered and not others
        self._regions(regions, clip, clip.frames)

    def _count(self, where: str, count: Any, clip: ClipTasks) -> None:
        whole = type(count) is int or (type(count) is float and count.is_integer())
        if not whole or abs(count) > 2**53:
            raise FormatError(self.path, where, f"expected a number of frames, got {shown(count)}")
        count = believable(self.path, where, int(count))
        if clip.frames not in (None, count):
            why = f"{count} frames, but the clip has {clip.frames}"
            hint = "Label Studio counted other frames than the decoder; send images instead."
            raise FormatError(self.path, where, why, hint=hint)
        clip.frames = count

    def _regions(self, regions: list[tuple[str, Any, Any]], clip: ClipTasks, frames: int) -> None:
        written = [re.fullmatch(r"track-([0-9]{1,18})", str(name)) for _, name, _ in regions]
        stated = [int(found[1]) for found in written if found]
        fresh = max(stated, default=-1) + 1
        names = [name for _, name, _ in regions if name is not None]
        if len(set(map(str, names))) < len(names):
            raise FormatError(self.path, regions[0][0], "two regions with one id")
        for (where, _, value), found in zip(regions, written, strict=True):
            labels = labels_of(value.get("labels"))
            if len(labels) != 1:
                why = f"region has {len(labels)} labels: its frames wait"
                self.skipped.add(self.path, where, why)
            clip.tracks.labels.append(labels[0] if len(labels) == 1 else None)
            clip.tracks.names.append(int(found[1]) if found else fresh)
            clip.tracks.where.append(where)
            fresh += not found
            self._keys(where, value, clip.tracks, frames)

    def _keys(self, where: str, value: dict[str, Any], tracks: Tracks, frames: int) -> None:
        seen: set[int] = set()
        for number, key in enumerate(self._part(where, value, "sequence", list)):
            at = f"{where}, key {number}"
            frame = self._part(at, key, "frame", (int, float))
            enabled = key.get("enabled", True)
            whole = type(frame) is int or (type(frame) is float and frame.is_integer())
            if not whole or type(enabled) is not bool or frame in seen:
                raise FormatError(self.path, at, f"frame {shown(frame)} twice, or not a key frame")
            seen.add(frame)
            place = int(min(max(frame - 1, -1), frames))
            tracks.add(place, rectangle(self.path, at, key), enabled)


def _chooses(
    result: Mapping[str, Any], chosen: dict[str, dict[str, Any]], wanted: Iterable[str]
) -> bool:
    """Take in what was chosen for one region; whether a class is taken from it."""
    name, value = result.get("from_name"), result.get("value")
    choices = value.get("choices") if isinstance(value, dict) else None
    if result.get("id") is None or not isinstance(name, str) or not isinstance(choices, list):
        return False
    if len(choices) == 1:
        chosen.setdefault(str(result["id"]), {})[name] = choices[0]
    return name in wanted


def _made(answer: dict[str, Any]) -> tuple[float, str]:
    """When an answer was given, to be compared: UTC where no zone is stated."""
    text = str(answer.get("updated_at") or answer.get("created_at") or "")
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp(), text
    except (ValueError, OverflowError):
        return float("-inf"), text


def _suffix(url: str) -> str:
    try:
        return PurePosixPath(location(url)).suffix.lower()
    except ValueError:
        return ""


def location(url: str) -> str:
    """The file behind a URL or path of Label Studio, with its folders.

    Uploads lose the prefix that they got, and their folders, which Label Studio made.

    Raises:
        ValueError: not a URL (``http://[::1/x``).
    """
    parts = urlsplit(url)
    local = parse_qs(parts.query).get("d", [""])[0]
    path = (local or unquote(parts.path)).replace("\\", "/")
    folder, _, name = path.rpartition("/")
    uploaded = "upload" in folder.split("/")
    return re.sub(r"^[0-9a-f]{8}-", "", name) if uploaded else path
