"""Good files of answers in every format; for ``fuzz_imports.py``."""

from __future__ import annotations

import csv
import io
import json
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
    return packed(folder / "cvat.zip", {"annotations.xml": _cvat_text(good).encode(), **files})


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
    return packed(folder / "coco.zip", {"annotations/instances_default.json": text, **files})


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
    return packed(folder / "yolo.zip", {**_yolo_files(good), **files})


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


def packed(path: Path, files: dict[str, bytes]) -> Path:
    """A zip of these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
