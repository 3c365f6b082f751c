"""BDD100K box tracking (Scalabel): ``labels/box_track_20/{train,val}/<video>.json``.

A file is a list of frames, or an object with that list under ``frames``; each frame has ``name``,
``videoName``, ``frameIndex`` (0-based) and ``labels``, each label ``id`` (text), ``category``,
``box2d`` and ``attributes``. Frames are those of the 5 Hz excerpt that the labels were made on.

Corners: ``x2, y2`` name the last pixel inside the box, as the data set's own conversion to COCO
reads them (width = x2 - x1 + 1), so vidal's half-open corner is one further; ``inclusive=False``
reads and writes them as edges. "other person", "other vehicle" and "trailer" and every label with
``crowd`` become ignore regions; the first three have no class. A frame with ``labels: []`` is
annotated and empty; one with ``labels`` null or absent is not annotated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vidal.errors import FormatError, InputError, OutputError
from vidal.formats._columns import labeller, refuse_twins
from vidal.formats._names import believable
from vidal.formats._rows import Row, build, load_json
from vidal.formats._write import write_files
from vidal.types import UNKNOWN, LabelledClip, Skipped

CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
"""The eight classes of the tracking task."""

SIZE = (720, 1280)
RATE = Fraction(5)
_IGNORED = frozenset(("other person", "other vehicle", "trailer"))
_ALSO = ("traffic light", "traffic sign", *_IGNORED)
_ALIASES = {"person": "pedestrian", "bike": "bicycle", "motor": "motorcycle"}
_OTHER = "other vehicle"


def read(
    path: Path,
    *,
    classes: Sequence[str] | None = None,
    skipped: Skipped | None = None,
    inclusive: bool = True,
    rate: Fraction = RATE,
    size: tuple[int, int] | None = SIZE,
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
        size: (height, width) of the images; None = not known.

    Raises:
        InputError: no files there, or one that cannot be read.
        FormatError: broken JSON, a missing or wrong key, a category that BDD100K does not have
            (with ``classes`` None), a frame twice, or an identity twice in a frame.
    """
    root = Path(path)
    files = sorted(root.rglob("*.json")) if root.is_dir() else [root]
    if not files:
        raise InputError(root, "no .json files below it")
    names = CLASSES if classes is None else tuple(classes)
    known = (*CLASSES, *_ALSO) if classes is None else None
    labels = labeller(names, known=known, aliases=_ALIASES)
    for file in files:
        for video, frames in _videos(file).items():
            length = believable(file, f"video {video!r}", max(frames) + 1)
            labelled = np.zeros(length, dtype=np.bool_)
            rows: list[_Box] = []
            for index, (where, frame) in frames.items():
                items = frame.get("labels")
                labelled[index] = items is not None
                rows += _boxes(file, where, index, items, skipped, inclusive, labels)
            numbered = _numbered(rows)
            refuse_twins(file, numbered)
            yield LabelledClip(
                name=video,
                annotations=build(names, labelled, numbered, path=file, skipped=skipped, size=size),
                files=_files(video, frames, length),
                size=size,
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


def _videos(file: Path) -> dict[str, dict[int, tuple[str, dict[str, Any]]]]:
    """Video -> frame index -> (where, frame), both in order."""
    value = load_json(file)
    if isinstance(value, dict):
        value = _need(file, "", value, "frames", list)
    if not isinstance(value, list):
        raise FormatError(file, "", "neither a list of frames nor an object with 'frames'")
    videos: dict[str, dict[int, tuple[str, dict[str, Any]]]] = {}
    for at, frame in enumerate(value):
        where = f"frame {at}"
        if not isinstance(frame, dict):
            raise FormatError(file, where, "not an object")
        video = frame.get("videoName") or file.stem
        index = _need(file, where, frame, "frameIndex", int)
        if not isinstance(video, str):
            raise FormatError(file, where, "videoName is not text")
        if believable(file, where, index) in videos.setdefault(video, {}):
            raise FormatError(file, where, f"frameIndex {index} of {video!r} occurs twice")
        videos[video][index] = (where, frame)
    return {video: dict(sorted(frames.items())) for video, frames in videos.items()}


def _need(file: Path, where: str, value: Mapping[str, Any], key: str, kind: type) -> Any:
    if key not in value:
        raise FormatError(file, where, f"{key} is missing")
    if not isinstance(value[key], kind) or isinstance(value[key], bool):
        raise FormatError(file, where, f"{key} is not a {kind.__name__}")
    return value[key]


def _boxes(
    file: Path,
    where: str,
    index: int,
    items: Any,
    skipped: Skipped | None,
    inclusive: bool,
    labels: Callable[[Path, str, str], int],
) -> Iterator[_Box]:
    if not isinstance(items, list | None):
        raise FormatError(file, where, "labels is not a list")
    for at, item in enumerate(items or ()):
        place = f"{where}, label {at}"
        if not isinstance(item, dict):
            raise FormatError(file, place, "not an object")
        if item.get("box2d") is None:
            if skipped is not None:
                skipped.add(file, place, "no box2d")
            continue
        category = _need(file, place, item, "category", str)
        attributes = item.get("attributes") or {}
        if not isinstance(attributes, dict):
            raise FormatError(file, place, "attributes is not an object")
        identity = item.get("id")
        if identity is not None and not isinstance(identity, str | int):
            raise FormatError(file, place, "id is neither text nor a number")
        region = category.casefold() in _IGNORED
        label = labels(file, place, category)
        box = _corners(file, place, item["box2d"], inclusive)
        ignored = region or bool(attributes.get("crowd", False))
        yield index, box, label, None if identity is None else str(identity), ignored, place


def _corners(
    file: Path, where: str, box: Any, inclusive: bool
) -> tuple[float, float, float, float]:
    if not isinstance(box, dict):
        raise FormatError(file, where, "box2d is not an object")
    values = []
    for key in ("x1", "y1", "x2", "y2"):
        number = box.get(key)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise FormatError(file, where, f"box2d.{key} is missing or not a number")
        try:
            values.append(float(number))
        except OverflowError:
            raise FormatError(file, where, f"box2d.{key} is out of all bounds") from None
    x1, y1, x2, y2 = values
    # An inverted box stays inverted, to be listed, and is not made whole by the extra pixel.
    wider = 1.0 if inclusive and x2 >= x1 and y2 >= y1 else 0.0
    return x1, y1, x2 + wider, y2 + wider


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
