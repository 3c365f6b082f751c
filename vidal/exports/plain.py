"""Formats without a server of their own: COCO, YOLO, MOT, FiftyOne's COCO, CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from vidal.exports import frame_map
from vidal.exports.bundle import Bundle, Shot, notes_of, table_of, tables
from vidal.formats import coco_video, mot, yolo
from vidal.formats._write import write_lines
from vidal.types import UNKNOWN, FrameRef, LabelledClip

PARTS = ("train", "val", "test")


def context_place(bundle: Bundle, shot: Shot) -> str:
    """A folder a pick, apart from all that is annotated."""
    assert shot.of is not None
    return f"context/{PurePosixPath(bundle.name(shot.of)).stem}/{shot.name}"


def _extra(shot: Shot) -> dict[str, Any]:
    """What an image says of its frame, where it was picked."""
    if not shot.rank:
        return {}
    score = shot.score if math.isfinite(shot.score) else None
    return {"rank": shot.rank, "score": score, "reason": shot.reason}


def _coco(bundle: Bundle, path: Path, shots: list[Shot]) -> None:
    clips, notes = tables(bundle, shots)
    coco_video.write(
        path,
        clips,
        names=bundle.name,
        notes=notes,
        extra={shot.ref: _extra(shot) for shot in shots},
        unknown=bundle.unknown is not None,
        classes=bundle.classes,
        outside=bundle.judged and bundle.unknown is not None,
    )


def _by_part(bundle: Bundle) -> dict[str, list[Shot]]:
    """The frames by part of the training set; under the empty name where there are no parts."""
    found: dict[str, list[Shot]] = {}
    for part in (*PARTS, ""):
        shots = [shot for shot in bundle.shots if bundle.clips[shot.ref.clip].part == part]
        if shots:
            found[part] = shots
    return found or {"": []}


def write_coco(bundle: Bundle, folder: Path) -> None:
    """``annotations/instances_<part>.json``."""
    for part, shots in _by_part(bundle).items():
        _coco(bundle, folder / "annotations" / f"instances_{part or 'default'}.json", shots)


def write_fiftyone(bundle: Bundle, folder: Path) -> None:
    """``labels.json`` of a COCODetectionDataset."""
    _coco(bundle, folder / "labels.json", list(bundle.shots))


def write_yolo(bundle: Bundle, folder: Path) -> None:
    """``data.yaml`` and ``labels/``."""
    clips, _ = tables(bundle)
    parts = {name: facts.part for name, facts in bundle.clips.items() if facts.part}
    yolo.write(
        folder,
        clips,
        unknown=bundle.unknown,
        names=bundle.name,
        parts=parts or None,
        classes=bundle.classes,
    )


def write_mot(bundle: Bundle, folder: Path) -> None:
    """``<clip>/gt`` and, for proposals, ``<clip>/det``; frames count the pictures of the clip."""
    for clip, shots in _sequences(bundle):
        mot.write(folder, [clip], labels=True, unknown=bundle.unknown)
        if bundle.judged:
            write_lines(folder / clip.name / "det" / "det.txt", _detections(shots))


def _sequences(bundle: Bundle) -> Iterator[tuple[LabelledClip, list[Shot]]]:
    """Each clip as a sequence of its frames that go out."""
    own: dict[str, list[Shot]] = {}
    for shot in sorted(bundle.shots, key=lambda shot: shot.ref):
        own.setdefault(shot.ref.clip, []).append(shot)
    for name, facts in bundle.clips.items():
        shots = own.get(name)
        if shots:
            table = table_of(shots, facts, bundle.classes, at=range(len(shots)))
            files = tuple(f"img1/{at:06d}.jpg" for at in range(1, len(shots) + 1))
            # Readers of MOT insist on a frame rate; picks have none, so one picture a second.
            rate = Fraction(1)
            yield LabelledClip(facts.stem, table, files=files, size=facts.size, rate=rate), shots


def _detections(shots: list[Shot]) -> Iterator[str]:
    for frame, shot in enumerate(shots, start=1):
        for (x1, y1, x2, y2), note in zip(shot.boxes.boxes.tolist(), notes_of(shot), strict=True):
            if not math.isnan(note.score):
                corners = f"{x1!r},{y1!r},{x2 - x1!r},{y2 - y1!r}"
                yield f"{frame},-1,{corners},{note.score:.6f},-1,-1,-1\n"


def mot_place(bundle: Bundle, shot: Shot) -> str:
    """Numbered from 1 within the frames of its clip."""
    number = _numbers(bundle)[shot.ref]
    return f"{bundle.clips[shot.ref.clip].stem}/img1/{number:06d}.jpg"


@lru_cache(maxsize=1)
def _numbers(bundle: Bundle) -> dict[FrameRef, int]:
    """Of each frame within those of its clip, from 1."""
    groups = groupby(sorted(shot.ref for shot in bundle.shots), key=lambda ref: ref.clip)
    return {ref: number for _, mine in groups for number, ref in enumerate(mine, start=1)}


def write_csv(bundle: Bundle, folder: Path) -> None:
    """``boxes.csv``: one row a box."""
    with (folder / "boxes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(BOXES)
        for shot in sorted(bundle.shots, key=lambda shot: (shot.rank or math.inf, shot.ref)):
            for row in _rows(bundle, shot):
                writer.writerow([frame_map.cell(value) for value in row])


BOXES = (
    *("rank", "clip", "ordinal", "file", "class", "x1", "y1", "x2", "y2"),
    *("score", "vidal", "vidal_certainty", "track", "ignore"),
)
"""Columns of ``boxes.csv``."""


def _rows(bundle: Bundle, shot: Shot) -> Iterator[list[Any]]:
    found, file = shot.boxes, f"images/{shot.name}" if shot.picture else ""
    for at, note in enumerate(notes_of(shot)):
        label = int(found.labels[at])
        if label == UNKNOWN and bundle.unknown is None:
            continue
        name = bundle.unknown if label == UNKNOWN else bundle.classes[label]
        corners = [round(float(value), 3) for value in found.boxes[at]]
        numbers = [None if math.isnan(v) else v for v in (note.score, note.certainty)]
        track = int(found.track[at])
        yield [
            *(shot.rank or None, shot.ref.clip, shot.ref.index, file, name, *corners),
            *(numbers[0], note.value if bundle.judged else None, numbers[1]),
            *(None if track < 0 else track, bool(found.ignore[at])),
        ]
