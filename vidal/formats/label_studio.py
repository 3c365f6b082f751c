"""Label Studio JSON: image tasks (the default) and video tasks, reading exports, writing imports.

Frames in Label Studio count from 1 and boxes are in percent of the image; both are converted here
and nowhere else. Its count of a video's frames can differ from the decoder's, which shifts every
box in silence: ``framesCount`` is therefore checked against the length of the clip wherever that is
known, and vidal sends single images by default.

A task without annotations, or with cancelled ones only, is not annotated; an annotation with an
empty result is annotated and empty. Of several annotations of one task the newest counts, the
others are listed.

Video regions (checked against Label Studio's own interpolation): a box moves linearly from a key
frame that is ``enabled`` to the next one; it is visible on every key frame; a key frame that is not
enabled is the last of its stretch; the last key frame, if enabled, holds to the end of the video.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from vidal.errors import FormatError
from vidal.formats._cvat import label_of
from vidal.formats._label_studio_write import config as config
from vidal.formats._label_studio_write import write as write
from vidal.formats._names import Names, believable, resolver
from vidal.formats._rows import Row, build, load_json
from vidal.formats._tracks import cut, interpolate, proper
from vidal.types import FrameRef, LabelledClip, Skipped

Corners = tuple[float, float, float, float]
_SIDES = ("x", "y", "width", "height")


@dataclass(slots=True)
class _Clip:
    """What the tasks say about one clip; labels are still names."""

    size: tuple[int, int] | None = None
    frames: int | None = None
    video: str = ""
    seen: set[int] = field(default_factory=set)
    labelled: set[int] = field(default_factory=set)
    rows: list[tuple[int, Corners, str, int, str]] = field(default_factory=list)


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    names: Names = None,
    source: Literal["annotations", "predictions"] = "annotations",
    frames: Mapping[str, int] | None = None,
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> Iterator[LabelledClip]:
    """Clips of an export in the format "JSON", in the order in which their first tasks come.

    The frame of an image task is ``data.clip`` and ``data.index`` where vidal wrote them, else the
    name of the image says it; the clip of a video task is ``data.clip``, else the video's stem.

    Args:
        path: the JSON file.
        classes: class names; None = those met, in order. Other names give class -1.
        skipped: receives what is left out: rotated boxes, other regions, older annotations.
        names: from an image's name to its frame.
        source: whether people's answers or a model's are read.
        frames: lengths of clips, where known; a video task that states another one is refused.
        sizes: (height, width) of clips; needed for video tasks that do not state them.

    Raises:
        InputError: the file cannot be read.
        FormatError: a broken file, a frame twice, or a wrong count of frames; says the task.
    """
    path = Path(path)
    tasks = load_json(path)
    if not isinstance(tasks, list):
        raise FormatError(path, "", "expected a list of tasks", hint='Export as "JSON".')
    reader = _Reader(path, Skipped() if skipped is None else skipped, names, source)
    reader.frames, reader.sizes = frames or {}, sizes or {}
    for number, task in enumerate(tasks):
        reader.task(f"task {number}", task)
    yield from reader.clips(classes)


class _Reader:
    """One pass over the tasks of one file."""

    def __init__(self, path: Path, skipped: Skipped, names: Names, source: str) -> None:
        self.path = path
        self.skipped = skipped
        self.resolve = resolver(names)
        self.source = source
        self.frames: Mapping[str, int] = {}
        self.sizes: Mapping[str, tuple[int, int]] = {}
        self.found: dict[str, _Clip] = {}

    def task(self, where: str, task: Any) -> None:
        data = self._part(where, task, "data", dict)
        results = self._results(where, task)
        if isinstance(data.get("video"), str):
            self._video(where, data, results)
        elif isinstance(data.get("image"), str):
            self._image(where, data, results)
        else:
            raise FormatError(self.path, where, "data has neither 'image' nor 'video'")

    def _part(self, where: str, value: Any, key: str, kind: type) -> Any:
        found = value.get(key) if isinstance(value, dict) else None
        if not isinstance(found, kind):
            raise FormatError(self.path, where, f"{key!r} is missing or not a {kind.__name__}")
        return found

    def _results(self, where: str, task: dict[str, Any]) -> list[Any] | None:
        """The regions that count; None = not annotated."""
        if "annotations" not in task and "predictions" not in task:
            hint = 'Export as "JSON", not "JSON-MIN".'
            raise FormatError(self.path, where, "no 'annotations'", hint=hint)
        answers = task.get(self.source) or []
        if not isinstance(answers, list) or not all(isinstance(a, dict) for a in answers):
            raise FormatError(self.path, where, f"{self.source!r} is not a list of objects")
        valid = [answer for answer in answers if not answer.get("was_cancelled")]
        if not valid:
            return None
        newest = max(valid, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""))
        for answer in valid:
            if answer is not newest:
                self.skipped.add(self.path, where, f"{self.source[:-1]} superseded by a newer one")
        results: list[Any] = self._part(where, newest, "result", list)
        return results

    # images

    def _image(self, where: str, data: dict[str, Any], results: list[Any] | None) -> None:
        ref = self._ref(where, data)
        if ref is None:
            why = f"name {data['image']!r} does not say which frame it is"
            self.skipped.add(self.path, where, why)
            return
        length = self.frames.get(ref.clip)
        if ref.index < 0 or (length is not None and ref.index >= length):
            raise FormatError(self.path, where, f"{ref}: the clip has {length} frames")
        believable(self.path, where, ref.index + 1)
        clip = self.found.setdefault(ref.clip, _Clip(frames=length))
        if ref.index in clip.seen:
            raise FormatError(self.path, where, f"{ref} twice")
        clip.seen.add(ref.index)
        if results is None:
            return
        clip.labelled.add(ref.index)
        for number, result in enumerate(results):
            self._region(f"{where}, result {number}", result, ref, clip)

    def _ref(self, where: str, data: dict[str, Any]) -> FrameRef | None:
        name, index = data.get("clip"), data.get("index")
        if name is None and index is None:
            return self.resolve(base_name(data["image"]))
        if not isinstance(name, str) or type(index) is not int:
            raise FormatError(self.path, where, "data.clip and data.index: expected text and int")
        return FrameRef(name, index)

    def _region(self, where: str, result: Any, ref: FrameRef, clip: _Clip) -> None:
        kind = self._part(where, result, "type", str)
        if kind not in ("rectanglelabels", "labels"):
            self.skipped.add(self.path, where, f"region {kind!r} is not a labelled box")
            return
        value = self._part(where, result, "value", dict)
        label = self._label(where, value.get(kind))
        if label is None or self._rotated(where, value):
            return
        height, width = (
            self._size(where, result, f"original_{side}") for side in ("height", "width")
        )
        if clip.size not in (None, (height, width)):
            raise FormatError(self.path, where, f"{width} x {height}: images of a clip differ")
        clip.size = (height, width)
        box = self._corners(where, value, clip.size)
        clip.rows.append((ref.index, box, label, -1, where))

    # videos

    def _video(self, where: str, data: dict[str, Any], results: list[Any] | None) -> None:
        name = data.get("clip", PurePosixPath(base_name(data["video"])).stem)
        if not isinstance(name, str) or name in self.found:
            raise FormatError(self.path, where, f"clip {name!r} twice or not a text")
        clip = self.found[name] = _Clip(video=data["video"])
        if {"width", "height"} <= data.keys():
            clip.size = (self._size(where, data, "height"), self._size(where, data, "width"))
        clip.size = self.sizes.get(name, clip.size)
        clip.frames = self.frames.get(name)
        if "frames" in data:
            self._count(f"{where}, data.frames", data["frames"], clip)
        regions = []
        for number, result in enumerate(results or []):
            at = f"{where}, result {number}"
            kind = self._part(at, result, "type", str)
            if kind != "videorectangle":
                self.skipped.add(self.path, at, f"region {kind!r} is not a video box")
                continue
            value = self._part(at, result, "value", dict)
            self._count(f"{at}, framesCount", value.get("framesCount"), clip)
            regions.append((at, result.get("id"), value))
        if clip.frames is None:
            hint = "Give the lengths of the clips."
            raise FormatError(self.path, where, f"length of {name!r} is not stated", hint=hint)
        clip.labelled = set(range(clip.frames)) if results is not None else set()
        self._regions(regions, clip, clip.frames)

    def _count(self, where: str, count: Any, clip: _Clip) -> None:
        if type(count) is not int:
            raise FormatError(self.path, where, f"expected a number of frames, got {count!r}")
        if clip.frames not in (None, count):
            why = f"{count} frames, but the clip has {clip.frames}"
            hint = "Label Studio counted other frames than the decoder; send images instead."
            raise FormatError(self.path, where, why, hint=hint)
        clip.frames = believable(self.path, where, count)

    def _regions(self, regions: list[tuple[str, Any, Any]], clip: _Clip, frames: int) -> None:
        written = [re.fullmatch(r"track-(\d{1,18})", str(name)) for _, name, _ in regions]
        stated = [int(found[1]) for found in written if found]
        fresh = max(stated, default=-1) + 1
        names = [name for _, name, _ in regions if name is not None]
        if len(set(map(str, names))) < len(names):
            raise FormatError(self.path, regions[0][0], "two regions with one id")
        for (where, _, value), found in zip(regions, written, strict=True):
            label = self._label(where, value.get("labels"))
            if label is None:
                continue
            track = int(found[1]) if found else fresh
            fresh += not found
            for frame, box in self._path(where, value, clip, frames):
                clip.rows.append((frame, box, label, track, where))

    def _path(
        self, where: str, value: dict[str, Any], clip: _Clip, frames: int
    ) -> list[tuple[int, Corners]]:
        """(index, box) on every frame on which the region is visible."""
        if clip.size is None:
            hint = "Give the sizes of the clips."
            raise FormatError(self.path, where, "size of the video is not stated", hint=hint)
        keys: dict[int, tuple[Corners, bool]] = {}
        lost: list[tuple[int, Corners]] = []
        for number, key in enumerate(self._part(where, value, "sequence", list)):
            at = f"{where}, key {number}"
            frame, enabled = self._part(at, key, "frame", int), key.get("enabled", True)
            if type(frame) is not int or type(enabled) is not bool or frame - 1 in keys:
                raise FormatError(self.path, at, f"frame {frame!r} twice, or not a key frame")
            if self._rotated(at, key):
                return []
            box = self._corners(at, key, clip.size)
            if 1 <= frame <= frames and proper(box):
                keys[frame - 1] = (box, enabled)
            else:
                lost.append((frame - 1 if 1 <= frame <= frames else -1, box))
        if not keys:
            return lost
        order = sorted(keys)
        bad = [frame for frame, _ in lost if frame >= 0]
        if keys[order[-1]][1] and max([*bad, order[-1]]) == order[-1] < frames - 1:
            keys[frames - 1] = keys[order[-1]]
            order.append(frames - 1)
        boxes = np.array([keys[frame][0] for frame in order], dtype=np.float64)
        visible = np.array([keys[frame][1] for frame in order])
        knots = np.array(order, dtype=np.int64)
        filled, corners = interpolate(knots, boxes, cut(knots, visible, bad))
        return lost + [(f, (a, b, c, d)) for f, (a, b, c, d) in zip(filled, corners, strict=True)]

    # values

    def _label(self, where: str, labels: Any) -> str | None:
        if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
            labels = []
        if len(labels) != 1:
            self.skipped.add(self.path, where, f"region has {len(labels)} labels")
            return None
        return str(labels[0])

    def _number(self, where: str, value: dict[str, Any], key: str, default: Any = None) -> float:
        number = value.get(key, default)
        if type(number) not in (int, float) or (type(number) is int and abs(number) > 2**53):
            raise FormatError(self.path, where, f"{key}: {number!r} is not a number")
        return float(number)

    def _size(self, where: str, value: dict[str, Any], key: str) -> int:
        number = self._number(where, value, key)
        if not 1 <= number <= 2**20 or number != int(number):
            raise FormatError(self.path, where, f"{key}: {number} pixels")
        return int(number)

    def _rotated(self, where: str, value: dict[str, Any]) -> bool:
        rotated = self._number(where, value, "rotation", 0) != 0
        if rotated:
            self.skipped.add(self.path, where, "rotated box")
        return rotated

    def _corners(self, where: str, value: dict[str, Any], size: tuple[int, int]) -> Corners:
        """Percent of left, top, width, height -> pixels xyxy."""
        x, y, w, h = (self._number(where, value, key) / 100 for key in _SIDES)
        height, width = size
        return (x * width, y * height, (x + w) * width, (y + h) * height)

    # result

    def clips(self, classes: Sequence[str] | None) -> Iterator[LabelledClip]:
        names = list(classes or ())
        if classes is None:
            met = (row[2] for clip in self.found.values() for row in clip.rows)
            names = list(dict.fromkeys(met))
        for name, clip in self.found.items():
            length = clip.frames if clip.frames is not None else max(clip.seen) + 1
            labelled = np.zeros(length, dtype=np.bool_)
            labelled[list(clip.labelled)] = True
            rows: list[Row] = [
                (frame, box, label_of(label, names, False), track, False, where)
                for frame, box, label, track, where in clip.rows
            ]
            table = build(
                names, labelled, rows, path=self.path, skipped=self.skipped, size=clip.size
            )
            video = Path(base_name(clip.video)) if clip.video else None
            yield LabelledClip(name, table, path=video, size=clip.size)


def base_name(url: str) -> str:
    """File name behind a URL or path of Label Studio, without the prefix that uploads get."""
    parts = urlsplit(url)
    local = parse_qs(parts.query).get("d", [""])[0]
    path = local or unquote(parts.path)
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return re.sub(r"^[0-9a-f]{8}-", "", name) if "/upload/" in path else name
