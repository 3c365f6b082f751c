"""What files of answers say, by a reading of its own: the standard library, no code of vidal's.

Used by ``fuzz_imports.py`` to tell whether what was recorded is what the file says. It is as plain
as a person with a text editor: no interpolation beyond a straight line, no names guessed.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple


class Said(NamedTuple):
    """Of one picture: its name, and its objects as (class, (x1, y1, x2, y2)) in pixels.

    ``skipped``: nobody was to annotate it.
    """

    name: str
    objects: list[tuple[str, tuple[float, ...]]]
    skipped: bool = False


class Unclear(Exception):
    """This reading cannot tell what a file says."""


def members(path: Path) -> dict[str, bytes]:
    """Name -> content of all files of a file, folder or zip."""
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}
    return {path.name: path.read_bytes()}


def said(path: Path, kind: str, size: tuple[int, int]) -> list[Said]:
    """All that a file says.

    Args:
        path: a file, folder or zip.
        kind: of ``KINDS``.
        size: (width, height) of the pictures, for shares of them.

    Raises:
        Unclear: the file is not of its kind, as far as this reading goes.
    """
    try:
        return list(KINDS[kind](members(path), size))
    except Unclear:
        raise
    except Exception as error:  # the parsers raise what they like
        raise Unclear(f"{type(error).__name__}: {error}") from error


def _text(data: bytes) -> str:
    return data.decode("utf-8-sig")


def _only(files: dict[str, bytes], *suffixes: str) -> bytes:
    found = [data for name, data in files.items() if name.lower().endswith(suffixes)]
    if len(found) != 1:
        raise Unclear(f"{len(found)} files of {suffixes}")
    return found[0]


def _corners(attributes: dict[str, str]) -> tuple[float, ...]:
    return tuple(float(attributes[name]) for name in ("xtl", "ytl", "xbr", "ybr"))


def _cvat_images(files: dict[str, bytes], _: tuple[int, int]) -> Iterator[Said]:
    for image in ET.fromstring(_only(files, ".xml")).findall("image"):
        shapes = [each for each in image if each.tag not in ("tag", "attribute")]
        if any(each.tag != "box" or float(each.get("rotation", "0")) for each in shapes):
            raise Unclear("another shape than a plain box")
        objects = [(each.attrib["label"], _corners(each.attrib)) for each in shapes]
        yield Said(image.attrib["name"], objects)


def _cvat_video(files: dict[str, bytes], _: tuple[int, int]) -> Iterator[Said]:
    for data in files.values():
        yield from _task(data)


def _task(data: bytes) -> Iterator[Said]:
    root = ET.fromstring(data)
    name = root.findtext("meta/task/name") or ""
    length = int(root.findtext("meta/task/size") or 0)
    found: dict[int, list[tuple[str, tuple[float, ...]]]] = {at: [] for at in range(length)}
    for track in root.findall("track"):
        keys = sorted(
            (int(box.attrib["frame"]), box.attrib["outside"] == "1", _corners(box.attrib))
            for box in track
        )
        for (at, hidden, box), (after, _, other) in zip(keys, [*keys[1:], keys[-1]], strict=True):
            for frame in range(at, max(after, at + 1)) if not hidden else ():
                share = (frame - at) / (after - at) if after > at else 0
                between = tuple(a + share * (b - a) for a, b in zip(box, other, strict=True))
                between = between if share else box
                found.setdefault(frame, []).append((track.attrib["label"], between))
    for frame, objects in found.items():
        yield Said(f"{name}_{frame:06d}", objects)


def _coco(files: dict[str, bytes], _: tuple[int, int]) -> Iterator[Said]:
    value = json.loads(_text(_only(files, ".json")))
    classes = {each["id"]: each["name"] for each in value["categories"]}
    clips = {each["id"]: each["name"] for each in value.get("videos") or []}
    for image in value["images"]:
        objects = []
        for each in value["annotations"]:
            if each["image_id"] == image["id"]:
                if each.get("segmentation"):
                    raise Unclear("a mask")
                x, y, width, height = each["bbox"]
                objects.append((classes[each["category_id"]], (x, y, x + width, y + height)))
        name = image.get("file_name", "")
        if clips:
            name = f"{clips[image['video_id']]}_{int(image['frame_id']):06d}"
        yield Said(name, objects)


def _percent(value: dict[str, Any], size: tuple[int, int]) -> tuple[float, ...]:
    """Corners in pixels; of a box that is turned about its top left corner, its extent."""
    width, height = size
    x, w = (float(value[name]) * width / 100 for name in ("x", "width"))
    y, h = (float(value[name]) * height / 100 for name in ("y", "height"))
    angle = math.radians(float(value.get("rotation", 0)))
    if w <= 0 or h <= 0 or abs(math.degrees(angle)) <= 0.1:
        return x, y, x + w, y + h
    cos, sin = math.cos(angle), math.sin(angle)
    xs = [a * w * cos - b * h * sin for a in (0, 1) for b in (0, 1)]
    ys = [a * w * sin + b * h * cos for a in (0, 1) for b in (0, 1)]
    return x + min(xs), y + min(ys), x + max(xs), y + max(ys)


def _studio(files: dict[str, bytes], size: tuple[int, int]) -> Iterator[Said]:
    for task in json.loads(_text(_only(files, ".json"))):
        answers = task.get("annotations") or []
        given = [each for each in answers if not each.get("was_cancelled")]
        if len(given) > 1:
            raise Unclear("several annotations")
        name = str(task["data"]["image"])
        if not given:
            if answers:
                yield Said(name, [], skipped=True)
            continue
        objects = []
        for result in given[0]["result"]:
            if result["type"] != "rectanglelabels":
                raise Unclear("another region")
            (label,) = result["value"]["rectanglelabels"]
            objects.append((label, _percent(result["value"], size)))
        yield Said(name, objects)


def _rows(rows: Iterable[dict[str, Any]], size: tuple[int, int]) -> Iterator[Said]:
    seen: set[Any] = set()
    for row in rows:
        if str(row.get("id")) in seen:
            raise Unclear("several annotations")
        seen.add(str(row.get("id")))
        objects = []
        for value in row.values():
            marks = json.loads(value) if isinstance(value, str) and value[:1] == "[" else value
            for each in marks if isinstance(marks, list) else []:
                (label,) = each["rectanglelabels"]
                objects.append((label, _percent(each, size)))
        yield Said(str(row["image"]), objects)


def _minimal(files: dict[str, bytes], size: tuple[int, int]) -> Iterator[Said]:
    return _rows(json.loads(_text(_only(files, ".json"))), size)


def _table(files: dict[str, bytes], size: tuple[int, int]) -> Iterator[Said]:
    text = _text(_only(files, ".csv"))
    return _rows(list(csv.DictReader(io.StringIO(text, newline=""), strict=True)), size)


def _yolo(files: dict[str, bytes], size: tuple[int, int]) -> Iterator[Said]:
    listed = next(data for name, data in files.items() if name.endswith("classes.txt"))
    classes = _text(listed).splitlines()
    width, height = size
    for name, data in files.items():
        if not name.endswith(".txt") or name.endswith("classes.txt"):
            continue
        objects = []
        for line in _text(data).splitlines():
            if not line.strip():
                continue
            label, *numbers = line.split()
            cx, cy, w, h, *_ = (float(each) for each in numbers[:5])  # a sixth is a confidence
            if len(numbers) > 5:
                raise Unclear("a polygon")
            x1, y1, x2, y2 = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
            at = float(label)
            if at != int(at) or at < 0:
                raise Unclear("a class that is no number")
            objects.append((classes[int(at)], (x1 * width, y1 * height, x2 * width, y2 * height)))
        yield Said(name, objects)


KINDS = {
    "cvat-images": _cvat_images,
    "cvat": _cvat_video,
    "coco": _coco,
    "label-studio": _studio,
    "json-min": _minimal,
    "csv": _table,
    "yolo": _yolo,
}
"""Of files: how they are read."""


def is_object(box: tuple[float, ...], size: tuple[int, int]) -> bool:
    """Whether corners are a place in the picture: finite, not inverted, and touching it."""
    x1, y1, x2, y2 = box
    width, height = size
    return all(map(math.isfinite, box)) and x1 < x2 and y1 < y2 and touches(box, width, height)


def touches(box: tuple[float, ...], width: int, height: int) -> bool:
    """Whether a box has a part of the picture in it."""
    x1, y1, x2, y2 = box
    return x2 > 0 and y2 > 0 and x1 < width and y1 < height


def named_for(name: str, clip: str) -> int | None:
    """The frame of a clip (``clip0-0a1b2c3d``) that a picture is named for; None = of no such.

    A name may have folders, the prefix of Label Studio's uploads, any suffix or none, and the name
    of the clip without its digest.
    """
    pure = PurePosixPath(name.replace("\\", "/"))
    found = re.fullmatch(r"(?:[0-9a-f]{8}-)?(.+)_([0-9]+)", pure.stem)
    bare = clip.rpartition("-")[0]
    if found is None or found[1] not in (clip, bare, f"{bare}.mp4"):
        return None
    return int(found[2])
