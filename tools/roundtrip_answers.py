"""Answers as annotation tools write them, without vidal's own writers: part of
``measure_roundtrip.py``.

Each function writes what the tool's export dialogue would give if annotators had drawn exactly the
true boxes; ``ROUNDING`` says how exactly the tool states them.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr


@dataclass(frozen=True)
class Box:
    """A true object: class, corners in pixels, and its track (0 and up)."""

    label: str
    corners: tuple[float, float, float, float]
    track: int


@dataclass(frozen=True)
class Picture:
    """A frame that went out.

    Attributes:
        name: of its file in the archive, with folders.
        size: (width, height).
        boxes: the truth.
    """

    name: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Whole:
    """A clip that went out whole: its file's name, size and the truth of every frame."""

    file: str
    size: tuple[int, int]
    frames: tuple[tuple[Box, ...], ...]


def _zip(path: Path, texts: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return path


def _labels(pictures: Sequence[Picture]) -> list[str]:
    return sorted({box.label for each in pictures for box in each.boxes})


def cvat_images(path: Path, pictures: Sequence[Picture]) -> Path:
    """ "CVAT for images 1.1": coordinates with two decimals, attributes of the label kept."""
    labels = "".join(f"<label><name>{escape(n)}</name></label>" for n in _labels(pictures))
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>',
        f"<meta><task><id>7</id><name>frames</name><size>{len(pictures)}</size>"
        f"<mode>annotation</mode><labels>{labels}</labels></task></meta>",
    ]
    for at, each in enumerate(pictures):
        width, height = each.size
        lines.append(
            f'<image id="{at}" name={quoteattr(each.name)} width="{width}" height="{height}">'
        )
        for box in each.boxes:
            x1, y1, x2, y2 = box.corners
            lines.append(
                f'<box label={quoteattr(box.label)} source="manual" occluded="0" xtl="{x1:.2f}"'
                f' ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}" z_order="0">'
                '<attribute name="vidal">no_verdict</attribute></box>'
            )
        lines.append("</image>")
    return _zip(path, {"annotations.xml": "\n".join([*lines, "</annotations>\n"])})


def cvat_video(path: Path, clip: Whole) -> Path:
    """ "CVAT for video 1.1": every frame of a track, ``outside`` where it ends."""
    width, height = clip.size
    count = len(clip.frames)
    tracks: dict[int, dict[int, Box]] = {}
    for frame, boxes in enumerate(clip.frames):
        for box in boxes:
            tracks.setdefault(box.track, {})[frame] = box
    names = sorted({box.label for found in tracks.values() for box in found.values()})
    labels = "".join(f"<label><name>{escape(name)}</name></label>" for name in names)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>',
        f"<meta><task><id>7</id><name>{escape(clip.file)}</name><size>{count}</size>"
        f"<mode>interpolation</mode><start_frame>0</start_frame><stop_frame>{count - 1}"
        f"</stop_frame><labels>{labels}</labels><original_size><width>{width}</width>"
        f"<height>{height}</height></original_size><source>{escape(clip.file)}</source></task>"
        "</meta>",
    ]
    for number, found in enumerate(tracks.values()):
        label = next(iter(found.values())).label
        lines.append(f'<track id="{number}" label={quoteattr(label)} source="manual">')
        for frame in sorted(found):
            lines.append(_key(frame, found[frame], outside=False))
            if frame + 1 < count and frame + 1 not in found:
                lines.append(_key(frame + 1, found[frame], outside=True))
        lines.append("</track>")
    return _zip(path, {"annotations.xml": "\n".join([*lines, "</annotations>\n"])})


def _key(frame: int, box: Box, *, outside: bool) -> str:
    x1, y1, x2, y2 = box.corners
    return (
        f'<box frame="{frame}" keyframe="1" outside="{int(outside)}" occluded="0" xtl="{x1:.2f}"'
        f' ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}" z_order="0"></box>'
    )


def cvat_coco(path: Path, pictures: Sequence[Picture]) -> Path:
    """ "COCO 1.0" of CVAT: left, top, width and height with two decimals."""
    return _zip(path, {"annotations/instances_default.json": _coco(pictures, 2)})


def fiftyone_coco(path: Path, pictures: Sequence[Picture]) -> Path:
    """What FiftyOne's exporter writes: names without folders, nothing rounded."""
    bare = [Picture(each.name.rpartition("/")[2], each.size, each.boxes) for each in pictures]
    path.write_text(_coco(bare, None), encoding="utf-8")
    return path


def _coco(pictures: Sequence[Picture], digits: int | None) -> str:
    names = _labels(pictures)
    images, boxes = [], []
    for number, each in enumerate(pictures, start=1):
        width, height = each.size
        images.append({"id": number, "file_name": each.name, "width": width, "height": height})
        for box in each.boxes:
            x1, y1, x2, y2 = box.corners
            place = [x1, y1, x2 - x1, y2 - y1]
            rounded = place if digits is None else [round(value, digits) for value in place]
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": number,
                    "category_id": names.index(box.label) + 1,
                    "bbox": rounded,
                    "area": rounded[2] * rounded[3],
                    "iscrowd": 0,
                    "segmentation": [],
                    "attributes": {"occluded": False},
                }
            )
    categories = [{"id": at, "name": name} for at, name in enumerate(names, start=1)]
    return json.dumps({"images": images, "annotations": boxes, "categories": categories})


def cvat_yolo(path: Path, pictures: Sequence[Picture]) -> Path:
    """ "YOLO 1.1" of CVAT: shares of the picture with six decimals."""
    names = _labels(pictures)
    texts = {"obj.names": "\n".join(names) + "\n", "obj.data": f"classes = {len(names)}\n"}
    for each in pictures:
        stem = each.name.rpartition(".")[0]
        texts[f"obj_train_data/{stem}.txt"] = _yolo(each, names, 6)
    texts["train.txt"] = "".join(f"data/obj_train_data/{each.name}\n" for each in pictures)
    return _zip(path, texts)


def _yolo(picture: Picture, names: Sequence[str], digits: int) -> str:
    width, height = picture.size
    lines = []
    for box in picture.boxes:
        x1, y1, x2, y2 = box.corners
        shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height)
        shares += ((x2 - x1) / width, (y2 - y1) / height)
        numbers = " ".join(f"{value:.{digits}f}" for value in shares)
        lines.append(f"{names.index(box.label)} {numbers}\n")
    return "".join(lines)


def label_studio(path: Path, pictures: Sequence[Picture]) -> Path:
    """Label Studio's JSON: percent of the picture; uploads have a prefix and no folders."""
    tasks = []
    for number, each in enumerate(pictures, start=1):
        width, height = each.size
        result = []
        for at, box in enumerate(each.boxes):
            x1, y1, x2, y2 = box.corners
            value = {
                "x": 100 * x1 / width,
                "y": 100 * y1 / height,
                "width": 100 * (x2 - x1) / width,
                "height": 100 * (y2 - y1) / height,
                "rotation": 0,
                "rectanglelabels": [box.label],
            }
            result.append(
                {
                    "id": f"r{at}",
                    "from_name": "label",
                    "to_name": "image",
                    "type": "rectanglelabels",
                    "original_width": width,
                    "original_height": height,
                    "image_rotation": 0,
                    "value": value,
                }
            )
        name = each.name.rpartition("/")[2]
        tasks.append(
            {
                "id": number,
                "data": {"image": f"/data/upload/3/0a1b2c3d-{name}"},
                "annotations": [{"id": number, "was_cancelled": False, "result": result}],
            }
        )
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


Writer = Callable[[Path, Sequence[Picture]], Path]

WRITERS: Mapping[str, tuple[tuple[str, str, Writer], ...]] = {
    "cvat": (
        ("CVAT for images 1.1", "cvat.zip", cvat_images),
        ("COCO 1.0 of CVAT", "cvat-coco.zip", cvat_coco),
        ("YOLO 1.1 of CVAT", "cvat-yolo.zip", cvat_yolo),
    ),
    "label-studio": (("JSON", "label-studio.json", label_studio),),
    "coco": (("COCO 1.0 of CVAT", "coco.zip", cvat_coco),),
    "yolo": (("YOLO 1.1 of CVAT", "yolo.zip", cvat_yolo),),
    "fiftyone": (("COCO of FiftyOne", "fiftyone.json", fiftyone_coco),),
}
"""``vidal export --to`` -> (form of the answers, file, writer)."""
