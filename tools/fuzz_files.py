"""Good files of answers in every format, and ways to damage them; for ``fuzz_imports.py``."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr


class Good(NamedTuple):
    """What was asked, and what the good files say.

    Attributes:
        names: of the pictures -> (clip, frame).
        objects: by picture: (class, (x1, y1, x2, y2)).
        pictures: their bytes.
        size: (width, height).
        length: frames of each clip.
    """

    names: dict[str, tuple[str, int]]
    objects: dict[str, list[tuple[str, tuple[float, ...]]]]
    pictures: dict[str, bytes]
    size: tuple[int, int]
    length: int


CLASSES = ("car", "sign")


def _box(corners: tuple[float, ...], **more: str) -> str:
    x1, y1, x2, y2 = corners
    extra = "".join(f" {name}={quoteattr(value)}" for name, value in more.items())
    return f'<box xtl="{x1:.2f}" ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}" occluded="0"{extra}/>'


def _cvat_text(good: Good) -> str:
    width, height = good.size
    images = ""
    for at, name in enumerate(good.names):
        boxes = "".join(_box(box, label=label) for label, box in good.objects[name])
        images += (
            f'<image id="{at}" name="{name}" width="{width}" height="{height}">{boxes}</image>'
        )
    return f"<annotations><version>1.1</version>{images}</annotations>"


def _cvat_images(good: Good, folder: Path) -> Path:
    return _put(folder / "annotations.xml", _cvat_text(good))


def _cvat_images_zip(good: Good, folder: Path) -> Path:
    files = {f"images/{name}": data for name, data in good.pictures.items()}
    return _zip(folder / "cvat.zip", {"annotations.xml": _cvat_text(good).encode(), **files})


def _cvat_video(good: Good, folder: Path) -> Path:
    """One task a clip: a folder of files; the first clip's frames are keyed one by one."""
    clips = sorted({clip for clip, _ in good.names.values()})
    for clip in clips:
        tracks, number = "", 0
        for name, (of, frame) in good.names.items():
            for label, box in good.objects[name] if of == clip else ():
                keys = _box(box, frame=str(frame), outside="0", keyframe="1")
                if frame + 1 < good.length:
                    keys += _box(box, frame=str(frame + 1), outside="1", keyframe="1")
                tracks += f'<track id="{number}" label="{label}">{keys}</track>'
                number += 1
        width, height = good.size
        head = (
            f"<task><name>{clip}</name><size>{good.length}</size><start_frame>0</start_frame>"
            f"<stop_frame>{good.length - 1}</stop_frame><original_size><width>{width}</width>"
            f"<height>{height}</height></original_size></task>"
        )
        text = f"<annotations><meta>{head}</meta>{tracks}</annotations>"
        _put(folder / "tasks" / f"{clip}.xml", text)
    return folder / "tasks"


def _coco_value(good: Good, *, videos: bool = False) -> dict[str, Any]:
    width, height = good.size
    clips = {clip: at + 1 for at, clip in enumerate(sorted({c for c, _ in good.names.values()}))}
    images, objects = [], []
    for at, (name, (clip, frame)) in enumerate(good.names.items()):
        image = {"id": at, "file_name": name, "width": width, "height": height}
        images.append(image | ({"video_id": clips[clip], "frame_id": frame} if videos else {}))
        for label, (x1, y1, x2, y2) in good.objects[name]:
            box = [x1, y1, x2 - x1, y2 - y1]
            known = {"id": len(objects) + 1, "image_id": at, "category_id": CLASSES.index(label)}
            objects.append({**known, "bbox": box, "iscrowd": 0})
    categories = [{"id": at, "name": name} for at, name in enumerate(CLASSES)]
    value = {"images": images, "annotations": objects, "categories": categories}
    named = [{"id": at, "name": clip} for clip, at in clips.items()]
    return value | ({"videos": named} if videos else {})


def _coco(good: Good, folder: Path) -> Path:
    return _put(folder / "instances_default.json", json.dumps(_coco_value(good)))


def _coco_zip(good: Good, folder: Path) -> Path:
    files = {f"images/default/{name}": data for name, data in good.pictures.items()}
    text = json.dumps(_coco_value(good)).encode()
    return _zip(folder / "coco.zip", {"annotations/instances_default.json": text, **files})


def _coco_video(good: Good, folder: Path) -> Path:
    return _put(folder / "video.json", json.dumps(_coco_value(good, videos=True)))


def _percent(good: Good, label: str, box: tuple[float, ...]) -> dict[str, Any]:
    (width, height), (x1, y1, x2, y2) = good.size, box
    sides = {"x": x1 / width * 100, "y": y1 / height * 100}
    sides |= {"width": (x2 - x1) / width * 100, "height": (y2 - y1) / height * 100}
    return {**sides, "rotation": 0, "rectanglelabels": [label]}


def _studio(good: Good, folder: Path) -> Path:
    stated = {"original_width": good.size[0], "original_height": good.size[1]}
    tasks = []
    for at, name in enumerate(good.names):
        results = [
            {"id": f"r{number}", "type": "rectanglelabels", "value": _percent(good, label, box)}
            | stated
            for number, (label, box) in enumerate(good.objects[name])
        ]
        answer = {"id": at, "result": results, "was_cancelled": False}
        tasks.append({"id": at, "data": {"image": f"/data/upload/1/0a1b2c3d-{name}"}})
        tasks[-1]["annotations"] = [answer]
    return _put(folder / "project.json", json.dumps(tasks))


def _min_rows(good: Good) -> list[dict[str, Any]]:
    stated = {"original_width": good.size[0], "original_height": good.size[1]}
    return [
        {
            "image": f"/data/upload/1/0a1b2c3d-{name}",
            "id": at,
            "label": [_percent(good, label, box) | stated for label, box in good.objects[name]],
            "annotator": 1,
            "annotation_id": at + 1,
            "updated_at": "2026-01-01T00:00:00Z",
        }
        for at, name in enumerate(good.names)
    ]


def _minimal(good: Good, folder: Path) -> Path:
    return _put(folder / "min.json", json.dumps(_min_rows(good)))


def _table(good: Good, folder: Path) -> Path:
    stream = io.StringIO()
    rows = _min_rows(good)
    writer = csv.DictWriter(stream, rows[0])
    writer.writeheader()
    writer.writerows([{**row, "label": json.dumps(row["label"])} for row in rows])
    return _put(folder / "project.csv", stream.getvalue())


def _yolo_files(good: Good) -> dict[str, bytes]:
    width, height = good.size
    files = {"classes.txt": "".join(f"{name}\n" for name in CLASSES).encode()}
    for name, objects in good.objects.items():
        lines = ""
        for label, (x1, y1, x2, y2) in objects:
            centre = f"{(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f}"
            lines += f"{CLASSES.index(label)} {centre} {(x2 - x1) / width:.6f}"
            lines += f" {(y2 - y1) / height:.6f}\n"
        files[f"labels/{Path(name).stem}.txt"] = lines.encode()
    return files


def _yolo(good: Good, folder: Path) -> Path:
    for name, data in _yolo_files(good).items():
        _put(folder / "yolo" / name, data)
    return folder / "yolo"


def _yolo_zip(good: Good, folder: Path) -> Path:
    files = {f"images/{name}": data for name, data in good.pictures.items()}
    return _zip(folder / "yolo.zip", {**_yolo_files(good), **files})


WRITERS: dict[str, Callable[[Good, Path], Path]] = {
    "cvat-images": _cvat_images,
    "cvat-images zip": _cvat_images_zip,
    "cvat": _cvat_video,
    "coco": _coco,
    "coco zip": _coco_zip,
    "coco video": _coco_video,
    "label-studio": _studio,
    "json-min": _minimal,
    "csv": _table,
    "yolo": _yolo,
    "yolo zip": _yolo_zip,
}
"""Kind of a file (what comes before a space names its reading) -> how it is written."""


def _put(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


# -- damage ----------------------------------------------------------------------------------

WILD = ("NaN", "-1", "1e999", "99999999999999999999", "-Infinity", "0", "1e-400", "null", '"7"', "")
ODD = ("\0", "\ufeff", "]]>", "<!--", "&x;", "٣", "\u2028", "\ud800", "'", '"', "{", "}", ",", "<")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def _flip(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _chunk(rng: random.Random, data: bytes) -> bytes:
    at, width = rng.randrange(len(data) + 1), rng.randrange(1, 150)
    part = data[at : at + width]
    return data[:at] + (data[at + width :] if rng.random() < 0.5 else part + data[at:])


def _number(rng: random.Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    places = list(NUMBER.finditer(text))
    if not places:
        return _flip(rng, data)
    found = rng.choice(places)
    new = rng.choice(WILD) if rng.random() < 0.5 else str(rng.randrange(100))
    whole = text[: found.start()] + new + text[found.end() :]
    return whole.encode("utf-8", "surrogateescape")


def _odd(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(ODD).encode("utf-8", "surrogatepass") + data[at:]


def _words(good: Good) -> list[str]:
    names = [Path(name).stem for name in good.names]
    clips = {clip for clip, _ in good.names.values()}
    return [*names, *CLASSES, *clips, *map(str, good.size), "vehicle", "unknown", "clip9_000001"]


def _swap(rng: random.Random, data: bytes, good: Good) -> bytes:
    """Names of frames, classes or sizes in each other's place."""
    text = data.decode("utf-8", "surrogateescape")
    there = [word for word in _words(good) if word in text]
    if not there:
        return _number(rng, data)
    old, new = rng.choice(there), rng.choice(_words(good))
    if rng.random() < 0.5:
        text = text.replace(old, "\x07").replace(new, old).replace("\x07", new)
    else:
        text = text.replace(old, new, rng.choice((1, 1, -1)))
    return text.encode("utf-8", "surrogateescape")


def _nodes(value: Any, into: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        into.append((value, key))
        if isinstance(value[key], dict | list):
            _nodes(value[key], into)
    return into


def _tree(rng: random.Random, data: bytes) -> bytes:
    """One part of JSON removed, doubled, nested or of another kind; a part of XML removed."""
    try:
        value = json.loads(data)
        nodes = _nodes(value, [])
    except (ValueError, TypeError, AttributeError):
        return _element(rng, data)
    if not nodes:
        return data + b"[" * 5000
    parent, key = rng.choice(nodes)
    what = rng.randrange(5)
    if what == 0:
        del parent[key]
    elif what == 1:
        parent[key] = rng.choice((None, True, [], {}, "x", -1, 1e300, 2**70, [[1]], {"a": 1}, 1.5))
    elif what == 2 and isinstance(parent, list):
        parent.insert(key, parent[key])
    elif what == 3:
        return b"[" * rng.choice((50, 5000, 200_000)) + data
    else:
        other, place = rng.choice(nodes)
        parent[key] = (
            json.loads(json.dumps(other[place]))
            if place in other
            or (isinstance(other, list) and isinstance(place, int) and place < len(other))
            else None
        )
    return json.dumps(value).encode()


def _element(rng: random.Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    found = list(re.finditer(r"<(\w+)[^<>]*/>|<(box|image|track)\b.*?</\2>", text))
    if not found:
        return _chunk(rng, data)
    part = rng.choice(found)
    twice = part[0] * (2 if rng.random() < 0.5 else 0)
    whole = text[: part.start()] + twice + text[part.end() :]
    return whole.encode("utf-8", "surrogateescape")


def _hostile(rng: random.Random, data: bytes) -> bytes:
    """Attacks on parsers."""
    kind = rng.randrange(5)
    if kind == 0:
        return BOMB.encode() + data
    if kind == 1:
        return gzip.compress(data + b" " * (40 << 20))
    if kind == 2:
        return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-7")))
    if kind == 3:
        return b'{"a":' * 100_000
    return data.replace(b'"id"', b'"id": 1, "id"', 1) if b'"id"' in data else data + data


def _text_damage(rng: random.Random, data: bytes, good: Good) -> tuple[bytes, str]:
    kinds: dict[str, Callable[[], bytes]] = {
        "a bit": lambda: _flip(rng, data),
        "cut short": lambda: _cut(rng, data),
        "a part lost or doubled": lambda: _chunk(rng, data),
        "a number": lambda: _number(rng, data),
        "an odd character": lambda: _odd(rng, data),
        "names and classes": lambda: _swap(rng, data, good),
        "structure": lambda: _tree(rng, data),
        "hostile": lambda: _hostile(rng, data),
    }
    weights = (2, 1, 2, 4, 1, 4, 4, 1)
    (name,) = rng.choices(list(kinds), weights)
    return kinds[name](), name


def _archive_damage(rng: random.Random, path: Path) -> str:
    """Damage of a zip as such: swapped members, hostile names, links, bombs, bytes."""
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    pictures = [name for name in files if name.endswith(".jpg")]
    kind = rng.randrange(9)
    more: list[tuple[str | zipfile.ZipInfo, bytes]] = []
    if kind == 0:
        path.write_bytes(_cut(rng, path.read_bytes()))
        return "zip cut short"
    if kind == 1:
        path.write_bytes(_flip(rng, path.read_bytes()))
        return "a bit of the zip"
    if kind in (2, 3) and pictures:
        first, second = rng.sample(pictures, 2)
        if kind == 2:
            files[first], files[second] = files[second], files[first]
        else:
            files[first] = files[second]
    elif kind == 4:
        labels = [name for name in files if name.startswith("labels/")] or pictures
        first, second = rng.sample(labels, 2)
        files[first], files[second] = files[second], files[first]
    elif kind == 5:
        odd = rng.choice(
            ("../../x.xml", "/etc/x.json", "C:\\x.txt", "labels/../../y.txt", "..\\z.xml")
        )
        more.append((odd, b"0 .5 .5 .1 .1\n"))
    elif kind == 6:
        link = zipfile.ZipInfo(rng.choice(("annotations.xml", "labels/x_000001.txt", "a.json")))
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        more.append((link, b"/etc/passwd"))
        files.pop(str(link.filename), None)
    elif kind == 7:
        name = rng.choice([each for each in files if each not in pictures])
        files[name] += b" " * (60 << 20)
    else:
        name = rng.choice(list(files))
        more.append((name, _flip(rng, files[name])))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*files.items(), *more]:
            archive.writestr(name, data)
    names = {2: "pictures swapped", 3: "a picture twice", 4: "members swapped", 5: "leads out"}
    return {**names, 6: "a link", 7: "a bomb", 8: "a member twice"}.get(kind, "nothing")


def damaged(rng: random.Random, good: Good, kind: str, folder: Path) -> tuple[Path, str]:
    """Write a file of a kind, and damage it: where it lies, and what was done, in words."""
    path = WRITERS[kind](good, folder)
    if path.suffix == ".zip" and rng.random() < 0.5:
        return path, _archive_damage(rng, path)
    if path.is_dir():
        file = rng.choice(sorted(each for each in path.rglob("*") if each.is_file()))
        data, words = _text_damage(rng, file.read_bytes(), good)
        file.write_bytes(data)
        if rng.random() < 0.1:
            others = sorted(each for each in path.rglob("*") if each.is_file())
            file.write_bytes(rng.choice(others).read_bytes())
            words = "a file in another's place"
        return path, words
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            files = {info.filename: archive.read(info) for info in archive.infolist()}
        name = rng.choice([each for each in files if not each.endswith(".jpg")])
        files[name], words = _text_damage(rng, files[name], good)
        _zip(path, files)
        return path, words
    data, words = _text_damage(rng, path.read_bytes(), good)
    path.write_bytes(data)
    return path, words
