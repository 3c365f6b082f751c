"""BDD100K box tracking (Scalabel): ``labels/box_track_20/{train,val}/<video>.json``.

A file is a list of frames, or an object with that list under ``frames``; each frame has ``name``,
``videoName``, ``frameIndex`` (0-based) and ``labels``, each label ``id`` (text), ``category``,
``box2d`` and ``attributes``. The files of 2020 spell them ``video_name``, ``index`` and ``Crowd``.
A label without ``box2d`` has the extent of its ``poly2d`` or ``rle``; where there is none, it is
listed and its frame is not annotated. ("lane" and "drivable area" are no objects.) Frames are those
of the 5 Hz excerpt that the labels were made on.

Corners: ``x2, y2`` name the last pixel inside the box, as the data set's own conversion to COCO
reads them (width = x2 - x1 + 1), so vidal's half-open corner is one further; ``inclusive=False``
reads and writes them as edges. "other person", "other vehicle" and "trailer" and every label with
``crowd`` become ignore regions; the first three have no class. A frame with ``labels: []`` is
annotated and empty; one with ``labels`` null or absent is not annotated. ``size`` of a frame, and
``imageSize`` of a file's ``config``, are Scalabel's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats._columns import labeller, refuse_twins
from vidal.formats._files import visible
from vidal.formats._json import Fields
from vidal.formats._names import believable, believable_sum
from vidal.formats._rows import Row, build, load_json
from vidal.formats._segmentation import extent
from vidal.formats._sizes import Size, same_size
from vidal.formats._tree import is_folder
from vidal.formats._write import write_files
from vidal.types import UNKNOWN, BoolArray, LabelledClip, Skipped

CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
"""The eight classes of the tracking task."""

SIZE = (720, 1280)
RATE = Fraction(5)
_IGNORED = frozenset(("other person", "other vehicle", "trailer"))
_ALSO = ("traffic light", "traffic sign", *_IGNORED)
_ALIASES = {"person": "pedestrian", "bike": "bicycle", "motor": "motorcycle"}
_OTHER = "other vehicle"
_NO_OBJECTS = ("lane", "drivable area")
_NAME = ("videoName", "video_name")
_INDEX = ("frameIndex", "frame_index", "index")


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    inclusive: bool = True,
    rate: Fraction = RATE,
    size: Size | None = SIZE,
    frames: Mapping[str, int] | None = None,
) -> Iterator[LabelledClip]:
    """The videos of a file, or of all files below a folder in order of their paths.

    A video ends with its last frame in the file. Track ids that are all whole numbers keep their
    value; else they are numbered in the order they come.

    Args:
        path: a ``.json`` file, or a folder of them.
        classes: class names, in any case; None = ``CLASSES``. Other categories get label -1.
        skipped: receives what is left out, and labels without a box.
        inclusive: whether x2, y2 lie inside the box; see above.
        rate: frames a second of the labelled frames.
        size: (height, width) of the images where the file does not state it; None = not known.
        frames: lengths of videos by name, where known.

    Raises:
        InputError: no files there, or one that cannot be read.
        FormatError: broken JSON, a missing or wrong key, a category that BDD100K does not have
            (with ``classes`` None), a frame twice, an identity twice in a frame, or frames of
            one video with different sizes.
    """
    root = Path(path)
    files = visible(root, "*.json", deep=True) if is_folder(root) else [root]
    if not files:
        raise InputError(root, "no .json files below it")
    names = CLASSES if classes is None else tuple(classes)
    known = (*CLASSES, *_ALSO) if classes is None else None
    labels = labeller(names, known=known, aliases=_ALIASES)
    total = 0
    for file in files:
        whole, videos = _videos(file)
        for video, found in videos.items():
            length = _length(file, video, found, (frames or {}).get(video))
            total = believable_sum(root, total + length)
            stated = same_size(file, [whole, *_sizes(file, found)]) or size
            reader = _Reader(Fields(file), skipped, inclusive, labels)
            numbered = _numbered(list(reader.all_boxes(found)))
            refuse_twins(file, numbered)
            yield LabelledClip(
                name=video,
                annotations=build(
                    names,
                    _labelled(found, length),
                    numbered,
                    path=file,
                    skipped=skipped,
                    size=stated,
                    incomplete=reader.incomplete,
                ),
                files=_files(video, found, length),
                size=stated,
                rate=rate,
            )


def write(path: Path, clips: Iterable[LabelledClip], *, inclusive: bool = True) -> list[Path]:
    """One ``<path>/<clip name>.json`` a clip (or ``path`` itself, if it ends in ``.json``).

    Ignore regions of a class get ``crowd``; objects and regions outside the classes become
    ``other vehicle`` (which reads back as an ignore region, so objects are refused).

    Returns:
        The files, in order.

    Raises:
        OutputError: a place that cannot be written, objects outside the classes, or a box that is
            narrower than a pixel with ``inclusive``.
    """

    def lines(file: Path, clip: LabelledClip) -> Iterator[str]:
        return _lines(file, clip, 1.0 if inclusive else 0.0)

    return write_files(Path(path), clips, lines, suffix=".json")


_Box = tuple[int, tuple[float, float, float, float], int, str | None, bool, str]
"""As a row, with the identity still text."""


_Frames = dict[int, tuple[str, dict[str, Any]]]
"""Frame index -> (where, frame)."""


def _videos(file: Path) -> tuple[tuple[str, Size | None], dict[str, _Frames]]:
    """(where, size) that the file states for all, and video -> its frames, both in order."""
    of, value = Fields(file), load_json(file, "*.json")
    whole: tuple[str, Size | None] = ("config", None)
    if isinstance(value, dict):
        config = value.get("config")
        size = config.get("imageSize") if isinstance(config, dict) else None
        whole = ("config.imageSize", of.size("config.imageSize", size)) if size else whole
        if not isinstance(value.get("frames"), list):
            raise FormatError(file, "", "neither a list of frames nor an object with 'frames'")
        value = value["frames"]
    if not isinstance(value, list):
        raise FormatError(file, "", "neither a list of frames nor an object with 'frames'")
    videos: dict[str, _Frames] = {}
    for at, frame in enumerate(value):
        where = f"frame {at}"
        if not isinstance(frame, dict):
            raise FormatError(file, where, "not an object")
        spelled = _spelling(frame, _NAME)
        video = (of.text(where, frame, spelled) if frame.get(spelled) else "") or file.stem
        index = of.whole(where, frame, _spelling(frame, _INDEX))
        if believable(file, where, index + 1) - 1 in videos.setdefault(video, {}):
            raise FormatError(file, where, f"frameIndex {index} of {video!r:.60} occurs twice")
        videos[video][index] = (where, frame)
    return whole, {video: dict(sorted(frames.items())) for video, frames in videos.items()}


def _length(file: Path, video: str, frames: _Frames, stated: int | None) -> int:
    """As stated, else up to the last frame."""
    last = max(frames)
    if stated is not None and last >= stated:
        raise FormatError(file, frames[last][0], f"{video!r:.60} has {stated} frames")
    return last + 1 if stated is None else stated


def _labelled(frames: _Frames, length: int) -> BoolArray:
    labelled = np.zeros(length, dtype=np.bool_)
    labelled[[at for at, (_, frame) in frames.items() if frame.get("labels") is not None]] = True
    return labelled


def _spelling(frame: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of the names that is a key; the first of all where none is."""
    return next((name for name in names if name in frame), names[0])


def _sizes(file: Path, frames: _Frames) -> Iterator[tuple[str, Size | None]]:
    for where, frame in frames.values():
        size = frame.get("size")
        yield where, Fields(file).size(f"{where}.size", size) if isinstance(size, dict) else None


@dataclass(slots=True)
class _Reader:
    """Boxes of one video; ``incomplete`` are the frames of which an object was left out."""

    of: Fields
    skipped: Skipped | None
    inclusive: bool
    labels: Callable[[Path, str, str], int]
    incomplete: set[int] = field(default_factory=set)

    def all_boxes(self, frames: _Frames) -> Iterator[_Box]:
        """The labels of all frames."""
        for index, (where, frame) in frames.items():
            yield from self.boxes(where, index, frame.get("labels"))

    def boxes(self, where: str, index: int, items: Any) -> Iterator[_Box]:
        """The labels of a frame."""
        if not isinstance(items, list | None):
            raise self.of.fail(where, "labels is not a list")
        for at, item in enumerate(items or ()):
            place = f"{where}, label {at}"
            if not isinstance(item, dict):
                raise self.of.fail(place, "not an object")
            if (row := self._row(place, index, item)) is not None:
                yield row

    def _row(self, where: str, index: int, item: dict[str, Any]) -> _Box | None:
        category = self.of.text(where, item, "category")
        if not category:
            raise self.of.fail(f"{where}.category", "is missing")
        box = None
        if item.get("box2d") is not None:
            box = self._corners(where, item["box2d"])
        elif category.casefold().partition("/")[0] not in _NO_OBJECTS:
            box = _extent(item)
        if box is None:
            if category.casefold().partition("/")[0] not in _NO_OBJECTS:
                self.incomplete.add(index)
            if self.skipped is not None:
                self.skipped.add(self.of.path, where, "no box2d")
            return None
        attributes = item.get("attributes") or {}
        if not isinstance(attributes, dict):
            raise self.of.fail(where, "attributes is not an object")
        crowd = attributes.get(_spelling(attributes, ("crowd", "Crowd")), False)
        identity = None if item.get("id") is None else str(self.of.key(where, item, "id"))
        ignored = category.casefold() in _IGNORED or bool(crowd)
        return index, box, self.labels(self.of.path, where, category), identity, ignored, where

    def _corners(self, where: str, box: Any) -> tuple[float, float, float, float]:
        if not isinstance(box, dict):
            raise self.of.fail(where, "box2d is not an object")
        x1, y1, x2, y2 = (
            self.of.number(f"{where}.box2d.{key}", box.get(key)) for key in ("x1", "y1", "x2", "y2")
        )
        # An inverted box stays inverted, to be listed, and is not made whole by the extra pixel.
        wider = 1.0 if self.inclusive and x2 >= x1 and y2 >= y1 else 0.0
        return x1, y1, x2 + wider, y2 + wider


def _extent(item: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """The box around the polygons or the mask of a label, where it has some."""
    if item.get("rle") is not None:
        return extent(item["rle"])
    parts = item.get("poly2d")
    if not isinstance(parts, list):
        return None
    polygons = []
    for part in parts:
        vertices = part.get("vertices") if isinstance(part, dict) else None
        if not isinstance(vertices, list) or not all(isinstance(v, list) for v in vertices):
            return None
        polygons.append([number for vertex in vertices for number in vertex])
    return extent(polygons)


def _numbered(rows: Sequence[_Box]) -> list[Row]:
    """Rows with whole numbers for identities."""
    texts = list(dict.fromkeys(row[3] for row in rows if row[3] is not None))
    numeric = all(t.isascii() and t.isdecimal() and len(t) < 19 for t in texts)
    # "7" and "07" are two identities; as numbers they would be one.
    if numeric and len({int(text) for text in texts}) == len(texts):
        number = {text: int(text) for text in texts}
    else:
        number = {text: at for at, text in enumerate(texts)}
    return [
        (index, box, label, -1 if text is None else number[text], ignored, where)
        for index, box, label, text, ignored, where in rows
    ]


def _files(
    video: str, frames: Mapping[int, tuple[str, dict[str, Any]]], length: int
) -> tuple[str, ...]:
    """Image names, if every frame of the video is listed with one."""
    names = [frame.get("name") for _, frame in frames.values()]
    if len(names) != length or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(name if "/" in name else f"{video}/{name}" for name in map(str, names))


def _lines(file: Path, clip: LabelledClip, wider: float) -> Iterator[str]:
    table = clip.annotations
    if ((table.labels == UNKNOWN) & ~table.ignore).any():
        hint = "BDD100K's other categories are ignore regions; drop these rows or name a class."
        raise OutputError(file, "objects outside the classes", hint=hint)
    if len(table) and ((table.boxes[:, 2:] - table.boxes[:, :2]) < wider).any():
        hint = "Its corners name pixels; write with inclusive=False."
        raise OutputError(file, "a box narrower than a pixel", hint=hint)
    yield "["
    for index in range(table.frames):
        name = Path(clip.files[index]).name if clip.files else f"{index + 1:07d}.jpg"
        rows = range(len(table))[table.on(index)]
        entries = [_entry(clip, row, wider) for row in rows] if table.labelled[index] else None
        frame = {"name": name, "videoName": clip.name, "frameIndex": index, "labels": entries}
        if clip.size is not None:
            frame["size"] = {"width": clip.size[1], "height": clip.size[0]}
        yield ("\n" if index == 0 else ",\n") + json.dumps(frame)
    yield "\n]\n"


def _entry(clip: LabelledClip, row: int, wider: float) -> dict[str, Any]:
    table = clip.annotations
    x1, y1, x2, y2 = (float(value) for value in table.boxes[row])
    label, track = int(table.labels[row]), int(table.track[row])
    crowd = bool(table.ignore[row]) and label != UNKNOWN
    entry: dict[str, Any] = {} if track < 0 else {"id": str(track)}
    return {
        **entry,
        "category": _OTHER if label == UNKNOWN else table.classes[label],
        "attributes": {"occluded": False, "truncated": False, "crowd": crowd},
        "box2d": {"x1": x1, "y1": y1, "x2": x2 - wider, "y2": y2 - wider},
    }
