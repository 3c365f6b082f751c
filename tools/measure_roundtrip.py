"""Out to each tool and back: do frames, boxes and tracks return as they went?

Frames of 20 rendered clips (every other one with a variable frame rate) and of the three annotated
TfL clips are selected, exported for each tool, answered with exactly the true boxes in the form
that the tool itself writes (``roundtrip_answers.py``), and imported. Every picture that went out is
compared with what ffmpeg decodes at its ordinal, so that a frame that is off by one is seen.

    python tools/measure_roundtrip.py --data ../shared/data/video/tfl_jamcam
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from roundtrip_answers import WRITERS, Box, Picture, Whole, cvat_video

import vidal
from vidal.assemble.campaign import engines_of
from vidal.campaign.folder import open_campaign
from vidal.cli import main as command
from vidal.types import Clip

HERE = Path(__file__).parent
RENDERED, LENGTH = 20, 40
CLASSES = ("car", "pedestrian", "cyclist", "truck", "bus")
"""Of the campaign; wheelchairs (rendered) and motorbikes (TfL) are none of them."""
UNKNOWN = "unknown"
ROUNDING = {
    "CVAT for images 1.1": 0.005,
    "CVAT for video 1.1": 0.005,
    "COCO 1.0 of CVAT": 0.01,
    "YOLO 1.1 of CVAT": 0.001,
    "JSON": 0.0,
    "COCO of FiftyOne": 0.0,
}
"""Pixels by which the form itself may be off, for pictures up to 500 pixels wide: two decimals of a
corner; of a corner and an extent; six decimals of a share."""
FLOAT32 = 5e-5
"""Pixels by which vidal's own float32 may be off."""

Truth = Mapping[str, tuple[tuple[Box, ...], ...]]
"""Stem of a clip's file -> its frames."""


def rendered_clips(folder: Path) -> Truth:
    """Render the clips; those with an odd number get a variable frame rate."""
    command(
        [
            *("scenes", "--out", str(folder / "scenes"), "--clips", str(RENDERED)),
            *("--frames", f"{LENGTH}-{LENGTH}", "--seed", "12"),
        ]
    )
    (folder / "clips").mkdir(exist_ok=True)
    for number, clip in enumerate(sorted((folder / "scenes/clips").glob("*.mp4"))):
        target = folder / "clips" / clip.name
        if target.is_file():
            continue
        if number % 2:
            vary(clip, target)
        else:
            shutil.copy(clip, target)
    value = json.loads((folder / "scenes/labels.coco.json").read_text("utf-8"))
    names = {each["id"]: each["name"] for each in value["categories"]}
    stems = {each["id"]: Path(each["name"]).name for each in value["videos"]}
    places = {e["id"]: (stems[e["video_id"]], e["frame_id"]) for e in value["images"]}
    found: dict[str, list[list[Box]]] = {s: [[] for _ in range(LENGTH)] for s in stems.values()}
    for each in value["annotations"]:
        stem, frame = places[each["image_id"]]
        x, y, w, h = each["bbox"]
        box = Box(_known(names[each["category_id"]]), (x, y, x + w, y + h), each["instance_id"])
        found[stem][frame].append(box)
    return {stem: tuple(map(tuple, frames)) for stem, frames in found.items()}


def vary(source: Path, target: Path) -> None:
    """The same frames at uneven times: each up to 83 % of a frame's time late."""
    late = "settb=1/90000,setpts='PTS+1500*mod(N,3)'"
    options = [
        "-enc_time_base",
        "1:90000",
        "-fps_mode",
        "vfr",
        "-c:v",
        "libx264",
        "-crf",
        "12",
        "-video_track_timescale",
    ]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", source, "-vf", late, *options, "90000", target], check=True
    )


def real_clips(data: Path, folder: Path) -> Truth:
    """The annotated TfL clips, under names of their own."""
    found = {}
    for truth in sorted(data.glob("*/gt.jsonl")):
        stem = truth.parent.name
        shutil.copy(truth.parent / "video.mp4", folder / "clips" / f"{stem}.mp4")
        frames = []
        for line in truth.read_text("utf-8").splitlines():
            boxes = json.loads(line)["boxes"]
            frames.append(
                tuple(Box(_known(b["label"]), tuple(b["xyxy"]), b["track"]) for b in boxes)
            )
        found[stem] = tuple(frames)
    return found


def _known(name: str) -> str:
    return name if name in CLASSES else UNKNOWN


@dataclass
class Row:
    """What one round trip gave; see ``measure``."""

    to: str
    form: str
    frames: int = 0
    right: int = 0
    boxes: int = 0
    boxes_back: int = 0
    furthest: float = 0.0
    other_class: int = 0
    tracks: int = 0
    tracks_lost: int = 0
    pictures_checked: int = 0
    pictures_wrong: int = 0
    seconds: float = 0.0
    left_out: list[str] = field(default_factory=list)


def decoded(path: Path, size: tuple[int, int]) -> np.ndarray:
    """All frames of a clip as ffmpeg's command line decodes them, (F, H, W, 3) uint8."""
    raw = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    started = ["ffmpeg", "-v", "error", "-i", str(path), *raw]
    done = subprocess.run(started, check=True, capture_output=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, size[1], size[0], 3)


def is_frame(picture: np.ndarray, frames: np.ndarray, index: int) -> bool:
    """Whether a picture looks like the frame of an ordinal, and no neighbour looks more so."""
    near = range(max(index - 3, 0), min(index + 4, len(frames)))
    off = {at: np.abs(frames[at].astype(np.int16) - picture).mean() for at in near}
    return bool(off[index] < 6.0 and off[index] <= min(off.values()) + 0.02)


def exported(work: Path, to: str, out: Path) -> Path:
    """The archive of a tool."""
    boxes = ["--boxes", "none"] if to == "cvat-video" else []  # tracks: a detector on all frames
    command(["export", str(work), "--to", to, "--out", str(out), "--quiet", *boxes])
    return out


def frame_map(archive: Path) -> list[dict[str, str]]:
    """Its frame map, without the neighbours that are only shown."""
    with zipfile.ZipFile(archive) as opened:
        name = next(n for n in opened.namelist() if n.endswith("frame_map.csv"))
        text = opened.read(name).decode("utf-8")
    return [row for row in csv.DictReader(io.StringIO(text)) if row["context"] != "true"]


def pictures_of(archive: Path, truth: Truth, clips: Mapping[str, Clip], row: Row) -> list[Picture]:
    """The pictures of an archive with the truth of the frame that ffmpeg says each is."""
    found, cache = [], {}
    with zipfile.ZipFile(archive) as opened:
        for line in frame_map(archive):
            clip, index = clips[line["clip"]], int(line["ordinal"])
            height, width = clip.size
            if clip.id not in cache:
                cache = {clip.id: decoded(clip.path, (width, height))}
            name = next(n for n in opened.namelist() if n.endswith(line["file"]))
            image = np.asarray(Image.open(io.BytesIO(opened.read(name))).convert("RGB"))
            row.pictures_checked += 1
            row.pictures_wrong += not is_frame(image, cache[clip.id], index)
            found.append(Picture(name, (width, height), truth[clip.path.stem][index]))
    return found


def compare(work: Path, truth: Truth, clips: Mapping[str, Clip], row: Row) -> None:
    """The record against the truth, frame by frame; fills ``row``."""
    with open_campaign(work, lock=False) as campaign:
        classes = (*campaign.record.classes, UNKNOWN)  # -1 = the last
        for clip in clips.values():
            table = campaign.record.annotations(clip.id, clip.frames)
            asked = campaign.record.queried_in(0)
            tracks: dict[int, set[int]] = {}
            for index in (ref.index for ref in asked if ref.clip == clip.id):
                row.frames += 1
                true = truth[clip.path.stem][index]
                at = table.on(index)
                boxes = table.boxes[at].astype(np.float64)
                row.boxes += len(true)
                row.boxes_back += len(boxes)
                if not table.labelled[index] or len(boxes) != len(true):
                    continue
                order = matched(boxes, true)
                off = [np.abs(boxes[o] - b.corners).max() for o, b in zip(order, true, strict=True)]
                row.furthest = max([row.furthest, *map(float, off)])
                row.right += 1
                for o, box in zip(order, true, strict=True):
                    row.other_class += classes[table.labels[at][o]] != box.label
                    tracks.setdefault(box.track, set()).add(int(table.track[at][o]))
            row.tracks += len(tracks)
            row.tracks_lost += lost(tracks)


def matched(boxes: np.ndarray, true: tuple[Box, ...]) -> list[int]:
    """For each true box the row that is nearest to it, each row once."""
    from scipy.optimize import linear_sum_assignment

    if not true:
        return []
    corners = np.array([box.corners for box in true])
    cost = np.abs(corners[:, None] - boxes[None]).max(axis=2)
    return linear_sum_assignment(cost)[1].tolist()


def lost(tracks: Mapping[int, set[int]]) -> int:
    """True tracks that have not one number of their own."""
    numbers = list(tracks.values())
    shared = [n for at, n in enumerate(numbers) if any(n & o for o in numbers[:at])]
    return sum(len(n) != 1 or n == {-1} for n in numbers) + len(shared)


def answered(work: Path, files: list[Path], row: Row, folder: Path) -> Path:
    """A copy of the campaign that was given the answers."""
    copy = folder / "answered"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(work, copy)
    began = time.perf_counter()
    for file in files:
        done = vidal.Campaign(copy).import_(file, empty_ok=True, unchanged_ok=True)
        row.left_out += [f"{where}: {why}" for _, where, why in done.left_out][:3]
    row.seconds = round(time.perf_counter() - began, 2)
    return copy


def measure(folder: Path, data: Path) -> list[Row]:
    """A row for each tool and form of answers."""
    truth = {**rendered_clips(folder), **real_clips(data, folder)}
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    for place in ("out", "back"):
        (folder / place).mkdir(exist_ok=True)
    vidal.Campaign.create(
        work,
        videos=folder / "clips",
        classes=CLASSES,
        detector="scenes-tiny",
        initial="8%",
        settings={"selection.initial_strategy": "random", "selection.gap": 1},
    ).select(report=False, progress=False)
    with open_campaign(work) as campaign:
        clips = campaign.clips(engines_of(campaign.config))
    rows = list(_images(folder, work, truth, clips))
    return [*rows, _video(folder, work, truth, clips)]


def _images(folder: Path, work: Path, truth: Truth, clips: Mapping[str, Clip]) -> Iterator[Row]:
    for to, forms in WRITERS.items():
        archive = exported(work, to, folder / "out" / f"{to}.zip")
        sent = Row(to, "")
        pictures = pictures_of(archive, truth, clips, sent)
        for form, name, write in forms:
            row = Row(to, form)
            row.pictures_checked, row.pictures_wrong = sent.pictures_checked, sent.pictures_wrong
            copy = answered(work, [write(folder / "back" / name, pictures)], row, folder)
            compare(copy, truth, clips, row)
            row.tracks = row.tracks_lost = 0  # pictures have none
            print(row, flush=True)
            yield row


def _video(folder: Path, work: Path, truth: Truth, clips: Mapping[str, Clip]) -> Row:
    row = Row("cvat-video", "CVAT for video 1.1")
    files = []
    exported(work, "cvat-video", folder / "out" / "cvat-video.zip")
    for clip in clips.values():
        height, width = clip.size
        whole = Whole(clip.path.name, (width, height), truth[clip.path.stem])
        files.append(cvat_video(folder / "back" / f"{clip.path.stem}.zip", whole))
    compare(answered(work, files, row, folder), truth, clips, row)
    print(row, flush=True)
    return row


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True, help="the TfL clips")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "roundtrip.json")
    parser.add_argument("--work", type=Path, help="a folder that is kept, clips and all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = options.work or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure(folder, options.data)
    for row in rows:
        allowed = ROUNDING[row.form] + FLOAT32
        bad = (row.right < row.frames, row.furthest > allowed, row.other_class, row.tracks_lost)
        if any((*bad, row.pictures_wrong, row.boxes != row.boxes_back)):
            print(f"NOT AS IT WENT: {row}")
    result = {
        "clips": {"rendered": RENDERED, "of a variable frame rate": RENDERED // 2, "TfL": 3},
        "allowed_px": {form: value + FLOAT32 for form, value in ROUNDING.items()},
        "rows": [vars(row) for row in rows],
    }
    text = json.dumps(result, indent=1, allow_nan=False)
    options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
