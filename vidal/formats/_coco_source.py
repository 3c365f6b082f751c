"""A parsed COCO file: its videos, with rows that are checked one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

from vidal.errors import FormatError
from vidal.formats._coco_write import OUTSIDE
from vidal.formats._json import Fields, Key
from vidal.formats._names import Names, believable, believable_sum
from vidal.formats._relabel import Relabel
from vidal.formats._rows import Row
from vidal.formats._segmentation import extent
from vidal.formats._sizes import Size
from vidal.formats._uploads import finder
from vidal.formats._xml import shown
from vidal.types import UNKNOWN, Skipped

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Video:
    """One clip of a file.

    Attributes:
        sizes: (where, (height, width)) as the video and its images state it.
        source: file or folder of it.
        stated: its length, where stated.
        whole: ``source`` is a video file.
        files: of all its frames, where stated apart.
        listed: the frames that are listed, with their files.
        incomplete: frames of which an object was left out.
    """

    name: str
    sizes: list[tuple[str, Size | None]] = field(default_factory=list)
    rate: Fraction | None = None
    source: str = ""
    stated: int | None = None
    whole: bool = False
    files: list[str] | None = None
    listed: dict[int, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    incomplete: set[int] = field(default_factory=set)

    @property
    def length(self) -> int:
        """Stated, or up to the last listed frame."""
        return self.stated if self.stated is not None else max(self.listed, default=-1) + 1


class Source:
    """A parsed file.

    Attributes:
        videos: by id, or by name where the file has none.
        classes: the names that labels index.
        annotated: whether the file says what is in its images.
    """

    def __init__(
        self,
        path: Path,
        value: Any,
        classes: Sequence[str] | None,
        names: Names,
        frames: Mapping[str, int],
        skipped: Skipped,
        relabel: Relabel,
    ) -> None:
        self._relabel, self._grows = relabel, classes is None
        self._of = Fields(path)
        self._frames = frames
        self._skipped = skipped
        if not isinstance(value, dict):
            raise self._of.fail("", "not a COCO file (no object with 'images')")
        self.annotated = value.get("annotations") is not None
        self.videos: dict[Key, Video] = {}
        self._images: dict[Key, tuple[Video, int] | None] = {}
        self._categories: dict[Key, int] = {}
        self._named: dict[Key, str] = {}
        self.classes = self._read_categories(value, classes)
        for where, item in self._of.items(value, "videos"):
            key = self._of.new_key(where, item, self.videos)
            self.videos[key] = self._video(where, item, key)
        self._read_images(value, names)
        believable_sum(path, sum(video.length for video in self.videos.values()))
        seen: set[Key] = set()
        for where, item in self._of.items(value, "annotations"):
            if "id" in item:
                seen.add(self._of.new_key(where, item, seen))
            self._annotation(where, item)

    def _read_categories(
        self, value: dict[str, Any], classes: Sequence[str] | None
    ) -> tuple[str, ...]:
        names: dict[Key, str] = {}
        outside: set[Key] = set()
        for where, item in self._of.items(value, "categories", required=True):
            key = self._of.new_key(where, item, names)
            names[key] = self._of.text(where, item, "name")
            if not names[key].strip():
                raise self._of.fail(f"{where}.name", "is missing")
            if item.get(OUTSIDE) is True:
                outside.add(key)
        self._named = {key: name for key, name in names.items() if key not in outside}
        known = [name for key, name in names.items() if key not in outside]
        chosen = tuple(dict.fromkeys(known)) if classes is None else tuple(classes)
        index = {name: label for label, name in enumerate(chosen)}
        for key, name in names.items():
            self._categories[key] = UNKNOWN if key in outside else index.get(name, UNKNOWN)
        return chosen

    def _video(self, where: str, item: dict[str, Any], key: Key) -> Video:
        of = self._of
        source = of.text(where, item, "file_name") or of.text(where, item, "folder")
        files = of.texts(where, item, "file_names")
        name = of.text(where, item, "name") or _named_after(source, files) or str(key)
        rate = item.get("rate", item.get("fps"))
        video = Video(
            name,
            [(where, of.size(where, item))],
            None if rate is None else of.rate(f"{where}.fps", rate),
            source,
            whole="file_name" in item,
        )
        if item.get("length") is not None:
            video.stated = of.whole(where, item, "length")
            believable(of.path, f"{where}.length", video.stated)
        elif name in self._frames:
            video.stated = self._frames[name]
        video.files = of.texts(where, item, "files")
        if video.files is not None and len(video.files) != video.stated:
            raise of.fail(f"{where}.files", f"{len(video.files)} files, length {video.stated}")
        if files is not None:
            if video.stated is not None and video.stated != len(files):
                raise of.fail(f"{where}.file_names", f"{len(files)} files, length {video.stated}")
            video.listed, video.stated = dict(enumerate(files)), len(files)
        return video

    def _read_images(self, value: dict[str, Any], names: Names) -> None:
        plain = not value.get("videos")
        if plain and value.get("images") is None:
            raise self._of.fail("videos" if "videos" not in value else "images", "is missing")
        find = finder(names, self._frames) if plain else None
        for where, item in self._of.items(value, "images"):
            key = self._of.new_key(where, item, self._images)
            if find is None:
                self._images[key] = self._image(where, item)
                continue
            file = self._of.text(where, item, "file_name")
            ref = find(file)
            if ref is None:
                self._skipped.add(
                    self._of.path, where, f"{shown(file)}: name does not say which frame it is"
                )
                self._images[key] = None
                continue
            video = self.videos.setdefault(ref.clip, Video(ref.clip))
            if ref.clip in self._frames:
                video.stated = self._frames[ref.clip]
            self._images[key] = self._listed(where, "file_name", video, ref.index, item)
        if plain and self._images and not self.videos:
            hint = "Expected 'videos', or names such as <clip>_000123.jpg."
            first = next(iter(self._of.items(value, "images")))[1].get("file_name")
            why = f"no name of an image says which frame of a clip it is, such as {shown(first)}"
            raise FormatError(self._of.path, "images", why, hint=hint)

    def _image(self, where: str, item: dict[str, Any]) -> tuple[Video, int]:
        key = self._of.key(where, item, "video_id")
        if (video := self.videos.get(key)) is None:
            raise self._of.fail(f"{where}.video_id", f"no video {shown(key)}")
        name = "frame_id" if "frame_id" in item else "frame_index"
        if name not in item:
            raise self._of.fail(f"{where}.frame_id", "is missing")
        index = self._of.whole(where, item, name, least=-1)
        return self._listed(where, name, video, index, item)

    def _listed(
        self, where: str, name: str, video: Video, index: int, item: dict[str, Any]
    ) -> tuple[Video, int]:
        """Note that a frame is listed."""
        if index < 0 or (video.stated is not None and index >= video.stated):
            raise self._of.fail(f"{where}.{name}", f"frame {index} of {video.stated or 0}")
        believable(self._of.path, f"{where}.{name}", index + 1)
        if index in video.listed:
            raise self._of.fail(f"{where}.{name}", f"frame {index} is there already")
        video.listed[index] = self._of.text(where, item, "file_name")
        video.sizes.append((where, self._of.size(where, item)))
        return video, index

    def _annotation(self, where: str, item: dict[str, Any]) -> None:
        category = self._of.key(where, item, "category_id")
        if category not in self._categories:
            raise self._of.fail(f"{where}.category_id", f"no category {shown(category)}")
        label = self._categories[category]
        if category in self._named:
            label = self._relabelled(where, item, self._named[category], label)
        ignore = bool(item.get("ignore") or item.get("iscrowd"))
        if "bboxes" in item:
            self._track(where, item, label, ignore)
            return
        image = self._of.key(where, item, "image_id")
        if image not in self._images:
            raise self._of.fail(f"{where}.image_id", f"no image {shown(image)}")
        if (place := self._images[image]) is None:
            return  # of a picture that is listed as skipped
        name = "instance_id" if "instance_id" in item else "track_id"
        track = -1
        if item.get(name) is not None:
            track = self._of.whole(where, item, name, least=-1)
        box, segmentation = item.get("bbox"), item.get("segmentation")
        self._row(*place, f"{where}.bbox", box, segmentation, (label, track, ignore))

    def _relabelled(self, where: str, item: dict[str, Any], name: str, label: int) -> int:
        """The class of an object, where an attribute states it."""
        values = item.get("attributes")
        known = values if isinstance(values, dict) else {}
        new = self._relabel(self._of.path, where, name, known)
        if new == name:
            return label
        if new not in self.classes and self._grows:
            self.classes = (*self.classes, new)
        return self.classes.index(new) if new in self.classes else UNKNOWN

    def _track(self, where: str, item: dict[str, Any], label: int, ignore: bool) -> None:
        """One annotation of YouTube-VIS: the boxes of a track."""
        key = self._of.key(where, item, "video_id")
        if (video := self.videos.get(key)) is None:
            raise self._of.fail(f"{where}.video_id", f"no video {shown(key)}")
        boxes, masks = item["bboxes"], item.get("segmentations")
        if not isinstance(boxes, list) or len(boxes) != video.length:
            raise self._of.fail(f"{where}.bboxes", f"not a list of {video.length} boxes")
        if not isinstance(masks, list) or len(masks) != len(boxes):
            masks = [None] * len(boxes)
        track = self._of.whole(where, item, "id", least=-1) if "id" in item else -1
        for index, (box, mask) in enumerate(zip(boxes, masks, strict=True)):
            if box is not None:
                place = f"{where}.bboxes[{index}]"
                self._row(video, index, place, box, mask, (label, track, ignore))

    def _row(
        self,
        video: Video,
        index: int,
        where: str,
        value: Any,
        segmentation: Any,
        facts: tuple[int, int, bool],
    ) -> None:
        """A row of ``facts`` (label, track, ignore); without a box, the frame lacks an object."""
        box = self._box(where, value)
        if box is None or not _proper(box):
            box = extent(segmentation) or box
        if box is not None:
            video.rows.append((index, box, *facts, where))
            return
        video.incomplete.add(index)
        self._skipped.add(self._of.path, where, "no box, and no mask that could be read")

    def _box(self, where: str, value: Any) -> Box | None:
        """Corners; None where there is no box."""
        if value is None or value == []:
            return None
        if not isinstance(value, list) or len(value) != 4:
            raise self._of.fail(where, "not a list of four numbers")
        if any(isinstance(part, bool) or not isinstance(part, int | float) for part in value):
            raise self._of.fail(where, "not a list of four numbers")
        x, y, width, height = (self._of.number(where, part) for part in value)
        return x, y, x + width, y + height


def _proper(box: Box) -> bool:
    return all(map(isfinite, box)) and box[2] > box[0] and box[3] > box[1]


def _named_after(source: str, files: list[str] | None) -> str:
    """The video file without its suffix, else the folder of the images; "" where neither says."""
    if source:
        place = PurePosixPath(source)
        return str(place.with_suffix("") if place.name else place)
    folder = str(PurePosixPath(files[0]).parent) if files else "."
    return folder if folder != "." else ""
