"""A small good file for every reader, and what it reads: what ``mutations.py`` damages."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np

from vidal.formats import (
    bdd100k,
    coco_video,
    cvat,
    cvat_images,
    imagenet_vid,
    kitti_tracking,
    label_studio,
    mot,
    synthia_al,
    yolo,
)
from vidal.formats.detections import read as read_detections
from vidal.types import Annotations, LabelledClip, Skipped

FIXTURES = Path(__file__).parents[2] / "fixtures"


class Reading(NamedTuple):
    """What a reader gave; ``content`` is all of it as text."""

    boxes: int
    labelled: int
    skipped: int
    content: str


@dataclass(frozen=True)
class Case:
    """One kind of file.

    Attributes:
        file: what is damaged, below the folder.
        data: its good content, unpacked.
        shape: ``json``, ``jsonl``, ``xml``, ``text`` or ``other``.
        archive: ``gz`` or ``zip``, or empty.
        read: reads the folder.
        build: writes what lies beside the file.
        fills: boxes between key frames are filled in, or numbers say which boxes count, so that
            another number may rightly give fewer boxes.
    """

    file: str
    data: bytes
    shape: str
    read: Callable[[Path], Reading]
    archive: str = ""
    build: Callable[[Path], None] = lambda root: None
    fills: bool = False


def clip(name: str = "a", frames: int = 12) -> LabelledClip:
    """Two tracks over some frames, one of them empty."""
    rows = [(at, 10.5 + 2 * at, 20.25, 40.5 + 2 * at, 60.75, 0, 3) for at in range(frames - 2)]
    rows += [(at, 200.0, 100.0, 260.0, 150.0 + at, 1, 7) for at in range(4, frames - 2)]
    data = np.array(sorted(rows), dtype=np.float64)
    return LabelledClip(
        name,
        Annotations(
            classes=("car", "pedestrian"),
            labelled=np.ones(frames, bool),
            frame=data[:, 0].astype(np.int64),
            boxes=data[:, 1:5],
            labels=data[:, 5].astype(np.int64),
            track=data[:, 6].astype(np.int64),
            ignore=np.zeros(len(data), bool),
        ),
        path=Path(f"{name}.mp4"),
        size=(480, 640),
        rate=Fraction(25),
    )


def written(write: Callable[[Path], object], name: str) -> bytes:
    """What one of vidal's own writers writes."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        return (Path(folder) / name).read_bytes()


def annotated(found: Iterable[LabelledClip], skipped: Skipped) -> Reading:
    clips = list(found)
    tables = [c.annotations for c in clips]
    parts: list[Any] = []
    for one, table in zip(clips, tables, strict=True):
        used = [table.classes[at] if at >= 0 else "?" for at in table.labels.tolist()]
        mask = np.packbits(table.labelled).tobytes()  # ten million frames are a megabyte
        parts += [one.name, one.size, table.frames, blake2b(mask).hexdigest(), used]
        parts += [table.frame.tolist(), table.boxes.round(3).tolist()]
        parts += [table.track.tolist(), table.ignore.tolist()]
    assert all(table.frames <= 10_000_000 for table in tables)
    boxes, labelled = sum(map(len, tables)), sum(int(t.labelled.sum()) for t in tables)
    return Reading(boxes, labelled, len(skipped), repr(parts))


def reader(module: ModuleType, where: str = "", **options: Any) -> Callable[[Path], Reading]:
    def read(root: Path) -> Reading:
        skipped = Skipped()
        given = {k: v(root) if callable(v) else v for k, v in options.items()}
        return annotated(module.read(root / where, skipped=skipped, **given), skipped)

    return read


def detections(where: str, **options: Any) -> Callable[[Path], Reading]:
    def read(root: Path) -> Reading:
        given = {key: root / value for key, value in options.items()}
        found = read_detections(root / where, **given)
        parts: list[Any] = []
        for one in found.clips:
            used = [found.classes[at] for at in one.labels.tolist()]
            parts += [one.names, one.size, one.length, used, one.number.tolist()]
            parts += [one.boxes.round(3).tolist(), one.scores.round(4).tolist()]
            parts.append(None if one.listed is None else one.listed.tolist())
        listed = sum(len(one.listed) for one in found.clips if one.listed is not None)
        boxes = sum(len(one.number) for one in found.clips)
        return Reading(boxes, listed, len(found.skipped) + len(found.others), repr(parts))

    return read


def fixture(name: str) -> Callable[[Path], None]:
    return lambda root: shutil.copytree(FIXTURES / name, root, dirs_exist_ok=True) and None


def bytes_of(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def _images(root: Path) -> None:
    place = root / SYNTHIA / "RGB"
    place.mkdir(parents=True)
    (root / SYNTHIA / "labels_kitti").mkdir()
    cv2.imwrite(str(place / "000000.png"), np.zeros((48, 64, 4), np.uint8))


def _beside(name: str, value: Any) -> Callable[[Path], None]:
    return lambda root: (root / name).write_text(json.dumps(value)) and None


SYNTHIA = (
    "train/test5_12segs_weather_0_spawn_1_roadTexture_0_P_20_C_None_B_20_WC_100/01-02-2019_03-04-05"
)
_LINE = "{} 0 0 -10 {} 2 30 40 1 1 1 0 0 10 0\n"
_KITTI = bytes_of("kitti_tracking/training/label_02/0000.txt")
_FOUND = "\n".join(line + " 0.9" for line in _KITTI.decode().splitlines()) + "\n"
_SINK = [
    {"x_min": 1.0, "y_min": 2.0, "x_max": 30.0 + at, "y_max": 40.0, "class_id": at % 2}
    | {"confidence": 0.5, "tracker_id": "", "class_name": ("car", "bus")[at % 2], "frame_index": at}
    for at in range(4)
]
_IMAGES = {
    "images": [
        {"id": 10 + at, "file_name": f"drive/00000{at}.jpg", "width": 64, "height": 48}
        for at in range(3)
    ],
    "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}],
}
_RESULTS = [
    {"image_id": 11, "category_id": 3, "bbox": [1, 2, 10, 20], "score": 0.75},
    {"image_id": 10, "category_id": 1, "bbox": [5, 5, 5, 5], "score": 0.25},
]
_ITEM = {"_cls": "Detection", "label": "car", "bounding_box": [0.2, 0.5, 0.5, 0.2], "confidence": 1}
_SAMPLE = {
    "filepath": "/data/a.mp4",
    "metadata": {"frame_width": 64, "frame_height": 48, "frame_rate": 25, "total_frame_count": 4},
    "frames": {"1": {"predictions": {"_cls": "Detections", "detections": [_ITEM, _ITEM]}}}
    | {"3": {"frame_number": 3}},
}
_LINES = "".join(
    json.dumps({"frame": at, "dets": [{"xyxy": [1, 2, 3 + at, 4], "label": "car", "score": 0.5}]})
    + "\n"
    for at in range(3)
)
_CVAT = written(lambda root: cvat.write(root / "a.xml", [clip()], tolerance=0.5), "a.xml")
_PICTURES = written(lambda root: cvat_images.write(root / "a.xml", [clip()]), "a.xml")
_TASKS = written(lambda root: label_studio.write(root / "a.json", [clip()]), "a.json")
_VIDEOS = written(
    lambda root: label_studio.write(root / "a.json", [clip()], kind="video"), "a.json"
)
_MOT = "1,-1,11,21,20,30,0.75,-1,-1,-1\n3,-1,1,1,4,5,0.5,-1,-1,-1\n"
_VID = "Annotations/VID/val/ILSVRC2015_val_00000000/000000.xml"
_BDD = "labels/box_track_20/val/b1c66a42-6f7d68ca.json"
_SEQUENCE = "MOT17-02-DPM"
_ANSWERS = json.dumps(json.loads(_TASKS)).replace('"predictions"', '"annotations"').encode()
_LISTED = "ImageSets/VID/VID_val_frames.txt"

CASES: dict[str, Case] = {
    "cvat": Case("a.xml", bytes_of("cvat/video_step5.xml"), "xml", reader(cvat), fills=True),
    "cvat-written": Case("a.xml", _CVAT, "xml", reader(cvat), fills=True),
    "cvat-gz": Case("a.xml.gz", _CVAT, "xml", reader(cvat), "gz", fills=True),
    "cvat-zip": Case("a.zip", _CVAT, "xml", reader(cvat), "zip", fills=True),
    "cvat-images": Case("a.xml", _PICTURES, "xml", reader(cvat_images)),
    "cvat-images-two": Case("a.xml", bytes_of("cvat/images.xml"), "xml", reader(cvat_images)),
    "cvat-images-zip": Case("a.zip", _PICTURES, "xml", reader(cvat_images), "zip"),
    "label-studio": Case("a.json", _ANSWERS, "json", reader(label_studio, "a.json")),
    "label-studio-export": Case(
        "a.json", bytes_of("label_studio/export.json"), "json", reader(label_studio, "a.json")
    ),
    "label-studio-video": Case(
        "a.json", _VIDEOS, "json", reader(label_studio, "a.json", source="predictions"), fills=True
    ),
    "coco-video": Case(
        "a.json",
        written(lambda root: coco_video.write(root / "a.json", [clip()]), "a.json"),
        "json",
        reader(coco_video, "a.json"),
    ),
    "bdd100k": Case(
        _BDD, bytes_of(f"bdd100k/{_BDD}"), "json", reader(bdd100k), build=fixture("bdd100k")
    ),
    "kitti": Case(
        "label_02/0000.txt",
        _KITTI,
        "text",
        reader(kitti_tracking),
        build=lambda root: (root / "label_02").mkdir(),
    ),
    "kitti-gz": Case(
        "label_02/0000.txt.gz",
        _KITTI,
        "text",
        reader(kitti_tracking),
        "gz",
        build=lambda root: (root / "label_02").mkdir(),
    ),
    "mot": Case(
        f"{_SEQUENCE}/gt/gt.txt",
        bytes_of(f"mot/train/{_SEQUENCE}/gt/gt.txt"),
        "text",
        reader(mot),
        build=fixture("mot/train"),
        fills=True,
    ),
    "mot-info": Case(
        f"{_SEQUENCE}/seqinfo.ini",
        bytes_of(f"mot/train/{_SEQUENCE}/seqinfo.ini"),
        "other",
        reader(mot),
        build=fixture("mot/train"),
        fills=True,
    ),
    "imagenet-vid": Case(
        _VID,
        bytes_of(f"imagenet_vid/{_VID}"),
        "xml",
        reader(imagenet_vid),
        build=fixture("imagenet_vid"),
    ),
    "imagenet-vid-list": Case(
        _LISTED,
        bytes_of(f"imagenet_vid/{_LISTED}"),
        "text",
        reader(imagenet_vid, listed=lambda root: root / _LISTED),
        build=fixture("imagenet_vid"),
        fills=True,
    ),
    "synthia": Case(
        f"{SYNTHIA}/labels_kitti/000000.txt",
        (_LINE.format("Car", 1) + _LINE.format("Pedestrian", 7)).encode(),
        "text",
        reader(synthia_al),
        build=_images,
    ),
    "yolo": Case(
        "labels/town-9a_000000.txt",
        bytes_of("yolo/labels/town-9a_000000.txt"),
        "text",
        reader(yolo),
        build=fixture("yolo"),
    ),
    "yolo-names": Case(
        "data.yaml",
        bytes_of("yolo/data.yaml"),
        "other",
        reader(yolo),
        build=fixture("yolo"),
        fills=True,
    ),
    "found-kitti": Case("0000.txt", _FOUND.encode(), "text", detections("0000.txt")),
    "found-mot": Case("a.txt", _MOT.encode(), "text", detections("a.txt")),
    "found-csv": Case(
        "a.csv.gz",
        b"frame,x1,y1,x2,y2,score\n0,1,2,3,4,0.5\n1,1,2,9,9,0.25\n",
        "text",
        detections("a.csv.gz"),
        "gz",
    ),
    "found-3d": Case(
        "a.txt", b"4,2,10,20,30,40,0.5,1,1,1,0,0,9,0,0\n" * 2, "text", detections("a.txt")
    ),
    "found-lines": Case("a.jsonl", _LINES.encode(), "jsonl", detections("a.jsonl")),
    "found-supervision": Case("a.json", json.dumps(_SINK).encode(), "json", detections("a.json")),
    "found-fiftyone": Case(
        "samples.json",
        json.dumps({"samples": [_SAMPLE]}).encode(),
        "json",
        detections("samples.json"),
    ),
    "found-coco": Case(
        "r.json",
        json.dumps(_RESULTS).encode(),
        "json",
        detections("r.json", images="images.json"),
        build=_beside("images.json", _IMAGES),
    ),
    "found-coco-images": Case(
        "images.json",
        json.dumps(_IMAGES).encode(),
        "json",
        detections("r.json", images="images.json"),
        build=_beside("r.json", _RESULTS),
    ),
}
"""Every reader of labels and of detections, in each form of file that it opens."""
