"""COCO with videos: COCO-VID as written here, and TAO and YouTube-VIS as found.

One JSON file: ``videos[]``, ``images[]`` with ``video_id`` and a 0-based ``frame_id`` (TAO:
``frame_index``), ``annotations[]`` with ``bbox`` (x, y, width, height) and ``instance_id`` (TAO:
``track_id``), ``categories[]``. A listed image without annotations is annotated and empty; a frame
that is not listed is not annotated. YouTube-VIS lists the files in ``videos[]`` and one annotation
a track with ``bboxes[]``, null where the object is not seen. A file without ``annotations`` (a test
split) annotates nothing. ``files`` of a video is this writer's own key, for clips of which only
some frames are listed. TAO's lists of classes that are not annotated exhaustively are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vidal.errors import FormatError, OutputError
from vidal.formats._columns import refuse_twins
from vidal.formats._names import believable
from vidal.formats._rows import Row, build, load_json
from vidal.formats._write import write_lines
from vidal.types import UNKNOWN, BoolArray, LabelledClip, Skipped

_OUTSIDE = "unknown"
"""Category, and key that marks it, of objects outside the classes."""


def read(
    path: Path, *, classes: Sequence[str] | None = None, skipped: Skipped | None = None
) -> Iterator[LabelledClip]:
    """The clips of a file, in its order.

    Args:
        path: the JSON file.
        classes: class names; None = the file's categories in their order. Objects of other
            categories get label -1.
        skipped: receives boxes that cannot be meant (not finite, empty, outside the image).

    Raises:
        InputError: the file cannot be read.
        FormatError: not JSON, or not of this form; says which key.
    """
    path = Path(path)
    source = _Source(path, load_json(path), classes)
    for video in source.videos.values():
        labelled = np.zeros(video.length, dtype=np.bool_)
        labelled[sorted(video.listed)] = source.annotated
        refuse_twins(path, video.rows)
        yield LabelledClip(
            name=video.name,
            annotations=build(
                source.classes, labelled, video.rows, path=path, skipped=skipped, size=video.size
            ),
            files=_files(video),
            path=path.parent / video.source if video.source else None,
            size=video.size,
            rate=video.rate,
        )


def write(path: Path, clips: Iterable[LabelledClip]) -> None:
    """One file for all clips; it appears when it is complete.

    Objects outside the classes get a category of their own; ``read`` gives them label -1 again.

    Raises:
        OutputError: the place cannot be written, or the clips differ in their classes.
    """
    path = Path(path)
    document = _Document(path)
    for clip in clips:
        document.add(clip)
    write_lines(path, [json.dumps(document.value(), allow_nan=False, indent=None), "\n"])


@dataclass(slots=True)
class _Video:
    name: str
    size: tuple[int, int] | None
    rate: Fraction | None
    source: str
    stated: int | None
    whole: bool
    files: list[str] | None = None
    listed: dict[int, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Stated, or up to the last listed frame."""
        return self.stated if self.stated is not None else max(self.listed, default=-1) + 1


class _Source:
    """A parsed file."""

    def __init__(self, path: Path, value: Any, classes: Sequence[str] | None) -> None:
        self.path = path
        if not isinstance(value, dict):
            raise FormatError(path, "", "not a COCO file (no object with 'videos')")
        self.annotated = value.get("annotations") is not None
        self.videos: dict[int | str, _Video] = {}
        self._images: dict[int | str, tuple[_Video, int]] = {}
        self._categories: dict[int | str, int] = {}
        self.classes = self._read_categories(value, classes)
        for where, item in self._items(value, "videos", required=True):
            self.videos[self._new_id(where, item, self.videos)] = self._video(where, item)
        for where, item in self._items(value, "images"):
            self._images[self._new_id(where, item, self._images)] = self._image(where, item)
        seen: set[int | str] = set()
        for where, item in self._items(value, "annotations"):
            if "id" in item:
                seen.add(self._new_id(where, item, seen))
            self._annotation(where, item)

    def fail(self, where: str, why: str) -> FormatError:
        """The error to raise."""
        return FormatError(self.path, where, why)

    def _items(
        self, value: dict[str, Any], key: str, *, required: bool = False
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        items = value.get(key)
        if items is None:
            if required:
                raise self.fail(key, "is missing")
            return
        if not isinstance(items, list):
            raise self.fail(key, "not a list")
        for at, item in enumerate(items):
            if not isinstance(item, dict):
                raise self.fail(f"{key}[{at}]", "not an object")
            yield f"{key}[{at}]", item

    def _new_id(self, where: str, item: dict[str, Any], known: Any) -> int | str:
        key = self._key(where, item, "id")
        if key in known:
            raise self.fail(f"{where}.id", f"{key!r} is there already")
        return key

    def _key(self, where: str, item: dict[str, Any], name: str) -> int | str:
        key = item.get(name)
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise self.fail(f"{where}.{name}", "not an id" if name in item else "is missing")
        return key

    def _whole(self, where: str, item: dict[str, Any], name: str) -> int:
        value = item[name]
        if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < 2**63:
            raise self.fail(f"{where}.{name}", f"{value!r:.40} is not a whole number")
        return value

    def _text(self, where: str, item: dict[str, Any], name: str) -> str:
        value = item.get(name, "")
        if not isinstance(value, str):
            raise self.fail(f"{where}.{name}", "not text")
        return value

    def _texts(self, where: str, item: dict[str, Any], name: str) -> list[str] | None:
        value = item.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.fail(f"{where}.{name}", "not a list of texts")
        return value

    def _size(self, where: str, item: dict[str, Any]) -> tuple[int, int] | None:
        if item.get("height") is None or item.get("width") is None:
            return None
        height, width = (self._whole(where, item, name) for name in ("height", "width"))
        if height < 1 or width < 1:
            raise self.fail(where, f"an image of {width}x{height} pixels")
        return height, width

    def _read_categories(
        self, value: dict[str, Any], classes: Sequence[str] | None
    ) -> tuple[str, ...]:
        names: dict[int | str, str] = {}
        outside: set[int | str] = set()
        for where, item in self._items(value, "categories", required=True):
            key = self._new_id(where, item, names)
            names[key] = self._text(where, item, "name")
            if item.get(_OUTSIDE) is True:
                outside.add(key)
        known = [name for key, name in names.items() if key not in outside]
        chosen = tuple(dict.fromkeys(known)) if classes is None else tuple(classes)
        index = {name: label for label, name in enumerate(chosen)}
        for key, name in names.items():
            self._categories[key] = UNKNOWN if key in outside else index.get(name, UNKNOWN)
        return chosen

    def _video(self, where: str, item: dict[str, Any]) -> _Video:
        source = self._text(where, item, "file_name") or self._text(where, item, "folder")
        files = self._texts(where, item, "file_names")
        name = self._text(where, item, "name") or _named_after(source, files) or str(item["id"])
        stated = None
        if item.get("length") is not None:
            stated = self._whole(where, item, "length")
            believable(self.path, f"{where}.length", stated)
        video = _Video(
            name, self._size(where, item), self._rate(where, item), source, stated,
            whole="file_name" in item,
        )  # fmt: skip
        video.files = self._texts(where, item, "files")
        if video.files is not None and len(video.files) != stated:
            raise self.fail(f"{where}.files", f"{len(video.files)} files, length {stated}")
        if files is not None:
            if stated is not None and stated != len(files):
                raise self.fail(f"{where}.file_names", f"{len(files)} files, length {stated}")
            video.listed, video.stated = dict(enumerate(files)), len(files)
        return video

    def _rate(self, where: str, item: dict[str, Any]) -> Fraction | None:
        value = item.get("rate", item.get("fps"))
        if value is None:
            return None
        try:
            rate = Fraction(value).limit_denominator(100_000)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            rate = Fraction(0)
        if isinstance(value, bool) or not rate > 0:
            raise self.fail(f"{where}.fps", f"{value!r:.40} is not a rate")
        return rate

    def _image(self, where: str, item: dict[str, Any]) -> tuple[_Video, int]:
        video = self.videos.get(self._key(where, item, "video_id"))
        if video is None:
            raise self.fail(f"{where}.video_id", f"no video {item['video_id']!r}")
        name = "frame_id" if "frame_id" in item else "frame_index"
        if name not in item:
            raise self.fail(f"{where}.frame_id", "is missing")
        index = self._whole(where, item, name)
        if index < 0 or (video.stated is not None and index >= video.stated):
            raise self.fail(f"{where}.{name}", f"frame {index} of {video.stated or 0}")
        believable(self.path, f"{where}.{name}", index + 1)
        if index in video.listed:
            raise self.fail(f"{where}.{name}", f"frame {index} is there already")
        video.listed[index] = self._text(where, item, "file_name")
        if video.size is None:
            video.size = self._size(where, item)
        return video, index

    def _annotation(self, where: str, item: dict[str, Any]) -> None:
        category = self._key(where, item, "category_id")
        if category not in self._categories:
            raise self.fail(f"{where}.category_id", f"no category {category!r}")
        label = self._categories[category]
        ignore = bool(item.get("ignore") or item.get("iscrowd"))
        if "bboxes" in item:
            self._track(where, item, label, ignore)
            return
        image = self._images.get(self._key(where, item, "image_id"))
        if image is None:
            raise self.fail(f"{where}.image_id", f"no image {item['image_id']!r}")
        name = "instance_id" if "instance_id" in item else "track_id"
        track = self._whole(where, item, name) if item.get(name) is not None else -1
        video, index = image
        box = self._box(f"{where}.bbox", item.get("bbox"))
        video.rows.append((index, box, label, track, ignore, f"{where}.bbox"))

    def _track(self, where: str, item: dict[str, Any], label: int, ignore: bool) -> None:
        """One annotation of YouTube-VIS: the boxes of a track."""
        video = self.videos.get(self._key(where, item, "video_id"))
        if video is None:
            raise self.fail(f"{where}.video_id", f"no video {item['video_id']!r}")
        boxes = item["bboxes"]
        if not isinstance(boxes, list) or len(boxes) != video.length:
            raise self.fail(f"{where}.bboxes", f"not a list of {video.length} boxes")
        track = self._whole(where, item, "id") if "id" in item else -1
        for index, box in enumerate(boxes):
            if box is not None:
                place = f"{where}.bboxes[{index}]"
                video.rows.append((index, self._box(place, box), label, track, ignore, place))

    def _box(self, where: str, value: Any) -> tuple[float, float, float, float]:
        if not isinstance(value, list) or len(value) != 4:
            raise self.fail(where, "not a list of four numbers")
        if any(isinstance(part, bool) or not isinstance(part, int | float) for part in value):
            raise self.fail(where, "not a list of four numbers")
        try:
            x, y, width, height = (float(part) for part in value)
        except OverflowError:
            raise self.fail(where, "a number too large") from None
        return x, y, x + width, y + height


def _named_after(source: str, files: list[str] | None) -> str:
    """The video file without its suffix, else the folder of the images; "" where neither says."""
    if source:
        place = PurePosixPath(source)
        return str(place.with_suffix("") if place.name else place)
    folder = str(PurePosixPath(files[0]).parent) if files else "."
    return folder if folder != "." else ""


def _files(video: _Video) -> tuple[str, ...]:
    """The image files, if the clip consists of them and all are named."""
    if video.files is not None:
        return tuple(video.files)
    names = [video.listed.get(index, "") for index in range(video.length)]
    return () if video.whole or not all(names) else tuple(names)


class _Document:
    """What is going to be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.classes: tuple[str, ...] | None = None
        self.outside = False
        self.videos: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, clip: LabelledClip) -> None:
        """Take in a clip."""
        table = clip.annotations
        if self.classes is None:
            self.classes = table.classes
        if table.classes != self.classes:
            raise OutputError(self.path, f"{clip.name} has other classes than the clips before")
        video = len(self.videos) + 1
        self.videos.append(self._video(clip, video))
        first = len(self.images) + 1
        at = np.flatnonzero(table.labelled)
        for index in at.tolist():
            image: dict[str, Any] = {"id": len(self.images) + 1, "video_id": video}
            image["frame_id"] = index
            if clip.files:
                image["file_name"] = clip.files[index]
            elif clip.path is not None:
                image["file_name"] = f"{clip.name}/{index:06d}.jpg"
            if clip.size is not None:
                image["height"], image["width"] = clip.size
            self.images.append(image)
        self._annotate(clip, first, table.labelled)

    def _video(self, clip: LabelledClip, number: int) -> dict[str, Any]:
        video: dict[str, Any] = {"id": number, "name": clip.name, "length": clip.annotations.frames}
        if clip.size is not None:
            video["height"], video["width"] = clip.size
        if clip.rate is not None:
            video["fps"], video["rate"] = float(clip.rate), str(clip.rate)
        if clip.files and len(clip.files) != clip.annotations.frames:
            raise OutputError(self.path, f"{clip.name}: {len(clip.files)} files for its frames")
        if clip.files and not clip.annotations.labelled.all():
            video["files"] = list(clip.files)
        if clip.path is not None:
            inside = clip.path.is_relative_to(self.path.parent)
            place = clip.path.relative_to(self.path.parent) if inside else clip.path.absolute()
            video["folder" if clip.files else "file_name"] = place.as_posix()
        return video

    def _annotate(self, clip: LabelledClip, first: int, labelled: BoolArray) -> None:
        table = clip.annotations
        image = (first - 1 + np.cumsum(labelled))[table.frame].tolist()
        wide = table.boxes.astype(np.float64)
        xywh = np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1).tolist()
        self.outside |= bool((table.labels == UNKNOWN).any())
        for row, (x, y, width, height) in enumerate(xywh):
            track = int(table.track[row])
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": image[row],
                    "category_id": int(table.labels[row]) + 1,
                    **({"instance_id": track} if track != -1 else {}),
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    "ignore": int(table.ignore[row]),
                }
            )

    def value(self) -> dict[str, Any]:
        """The whole document."""
        categories: list[dict[str, Any]] = [
            {"id": number, "name": name} for number, name in enumerate(self.classes or (), start=1)
        ]
        if self.outside:
            categories.append({"id": 0, "name": _OUTSIDE, _OUTSIDE: True})
        return {
            "videos": self.videos,
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }
