"""COCO results: a list of ``{image_id, category_id, bbox, score}``, with its images and categories.

``bbox`` is (x, y, width, height). Results come beside a file with ``images`` and ``categories``
(``--detections-images``), or as one COCO file whose ``annotations`` have scores. Every listed image
was looked at. Two keys are vidal's own: ``probs``, one number for each category in the order of
``categories`` and the background's last (it may be left out), and ``features``, a vector.

An image belongs to the clip of its ``video_id``, at its zero-based ``frame_id`` (``frame_index``).
Without videos the ``file_name`` tells: ``folder/000123.jpg`` is image 123 of the clip ``folder``,
``clip_000123.jpg`` of the clip ``clip``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from vidal.errors import FormatError
from vidal.formats._rows import load_json
from vidal.formats._sizes import LARGEST, same_size
from vidal.formats.detections._found import (
    FoundClip,
    Row,
    box_of,
    frame_of,
    number_of,
    numbers_of,
)
from vidal.formats.detections._images import clip_names, image_clip

Key = int | str


def read(path: Path, value: Any, images: Path | None) -> Iterator[FoundClip]:
    """The clips of a file.

    Args:
        path: the file.
        value: its JSON value: a list of results, or an object with ``annotations``.
        images: the file with ``images`` and ``categories``, for a list.

    Raises:
        InputError: ``images`` cannot be read.
        FormatError: not of this form; says which entry of which file.
    """
    if isinstance(value, list):
        if images is None:
            raise FormatError(
                path,
                "",
                "COCO results, but no images",
                hint="Name the file with their images and categories: --detections-images FILE.",
            )
        index = _Index(images, load_json(images))
        _add(path, "", value, index)
    else:
        index = _Index(path, value)
        _add(path, "annotations", value.get("annotations"), index)
    yield from index.clips.values()


class _Index:
    """Images and categories: where detections belong."""

    def __init__(self, path: Path, value: Any) -> None:
        self.path = path
        if not isinstance(value, dict):
            raise FormatError(path, "", "no object with 'images' and 'categories'")
        self.names: dict[Key, str] = {}
        for where, item in _items(path, value, "categories"):
            name = item.get("name")
            if not isinstance(name, str) or not name:
                raise FormatError(path, f"{where}.name", "not a name")
            self.names[_new(path, where, item, self.names)] = name
        if len(set(self.names.values())) != len(self.names):
            raise FormatError(path, "categories", "two of one name")
        self.classes = tuple(self.names.values())
        self._videos = self._read_videos(value)
        self.images: dict[Key, tuple[FoundClip, int]] = {}
        self.clips: dict[Any, FoundClip] = {}
        for where, item in _items(path, value, "images"):
            key = _new(path, where, item, self.images)
            self.images[key] = self._image(where, item)
        folders = clip_names(group for group in self.clips if isinstance(group, tuple))
        for group, names in folders.items():
            self.clips[group].names = names

    def _read_videos(self, value: dict[str, Any]) -> dict[Key, tuple[str, ...]]:
        videos: dict[Key, tuple[str, ...]] = {}
        for where, item in _items(self.path, value, "videos", required=False):
            texts = [item.get(name) for name in ("name", "file_name", "path")]
            names = [text for text in texts if isinstance(text, str) and text]
            plain = [PurePosixPath(name.replace("\\", "/")) for name in names]
            both = (name for pure in plain for name in (str(pure), pure.stem))
            known = tuple(dict.fromkeys(both))
            key = _new(self.path, where, item, videos)
            videos[key] = known or (f"video {key}",)
        return videos

    def _image(self, where: str, item: dict[str, Any]) -> tuple[FoundClip, int]:
        video = item.get("video_id")
        if video is not None:
            if not isinstance(video, Key) or video not in self._videos:
                raise FormatError(self.path, f"{where}.video_id", f"no video {video!r:.40}")
            group: Any = video
            names, by_image = self._videos[video], False
            name = "frame_id" if "frame_id" in item else "frame_index"
            number = frame_of(self.path, f"{where}.{name}", item.get(name))
        else:
            file = item.get("file_name")
            if not isinstance(file, str) or not file:
                raise FormatError(self.path, where, "neither 'video_id' nor 'file_name'")
            folder, prefix, number = image_clip(self.path, where, file)
            group, by_image = (folder, prefix), True
            names = (folder, prefix)
        size = self._size(where, item)
        if group not in self.clips:
            self.clips[group] = FoundClip(
                names,
                self.path,
                by_image=by_image,
                listed=set(),
                size=size,
                classes=self.classes,
            )
        clip = self.clips[group]
        clip.size = same_size(self.path, [("an image before", clip.size), (where, size)])
        if clip.listed is None or number in clip.listed:
            raise FormatError(self.path, where, f"frame {number} of {names[0]!r} is there already")
        clip.listed.add(number)
        return clip, number

    def _size(self, where: str, item: dict[str, Any]) -> tuple[int, int] | None:
        if item.get("height") is None or item.get("width") is None:
            return None
        height, width = (
            number_of(self.path, f"{where}.{name}", item[name]) for name in ("height", "width")
        )
        if not all(1 <= side <= LARGEST and side.is_integer() for side in (height, width)):
            raise FormatError(self.path, where, f"an image of {width:g}x{height:g} pixels")
        return int(height), int(width)


def _add(path: Path, key: str, items: Any, index: _Index) -> None:
    if not isinstance(items, list):
        raise FormatError(path, key, "not a list")
    for at, item in enumerate(items):
        where = f"{key}[{at}]"
        if not isinstance(item, dict):
            raise FormatError(path, where, "not an object")
        image, category = item.get("image_id"), item.get("category_id")
        if not isinstance(image, Key) or image not in index.images:
            raise FormatError(path, f"{where}.image_id", f"no image {image!r:.40} in {index.path}")
        if not isinstance(category, Key) or category not in index.names:
            raise FormatError(path, f"{where}.category_id", f"no category {category!r:.40}")
        if item.get("score") is None:
            raise FormatError(path, where, "no score", hint="Ground truth has none.")
        clip, number = index.images[image]
        x, y, w, h = box_of(path, f"{where}.bbox", item.get("bbox"))
        clip.path = path
        clip.rows.append(
            Row(
                number,
                (x, y, x + w, y + h),
                number_of(path, f"{where}.score", item["score"]),
                index.names[category],
                where,
                numbers_of(path, f"{where}.probs", item.get("probs")),
                numbers_of(path, f"{where}.features", item.get("features")),
            )
        )


def _items(
    path: Path, value: dict[str, Any], key: str, *, required: bool = True
) -> Iterator[tuple[str, dict[str, Any]]]:
    items = value.get(key)
    if items is None and not required:
        return
    if not isinstance(items, list):
        raise FormatError(path, key, "is missing" if items is None else "not a list")
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise FormatError(path, f"{key}[{at}]", "not an object")
        yield f"{key}[{at}]", item


def _new(path: Path, where: str, item: dict[str, Any], known: Any) -> Key:
    key = item.get("id")
    if isinstance(key, bool) or not isinstance(key, Key):
        raise FormatError(path, f"{where}.id", "not an id")
    if key in known:
        raise FormatError(path, f"{where}.id", f"{key!r:.40} is there already")
    return key
