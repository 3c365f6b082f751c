"""For CVAT: a task of images, or a task a clip with tracks.

Read beside CVAT's own import (``cvat/apps/dataset_manager/formats/cvat.py`` and
``cvat/apps/engine/media_extractors.py`` of its public source): a zip makes a task of the images in
it, a folder ``related_images/<name>_jpg`` beside an image holds its context pictures, and the same
zip is what "Upload annotations" and a project's "Import dataset" take as CVAT 1.1.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from vidal.exports import frame_map
from vidal.exports.bundle import Bundle, Shot, tables
from vidal.formats import cvat, cvat_images
from vidal.formats._cvat import attributes_of
from vidal.formats._notes import Notes, values_of
from vidal.types import LabelledClip

LABELS = "labels.json"
XML = "annotations.xml"
TARGETS = "target_frames.csv"


def context_place(bundle: Bundle, shot: Shot) -> str:
    """Where CVAT takes a picture for one that is shown beside an image."""
    assert shot.of is not None
    pick = PurePosixPath(bundle.name(shot.of))
    return f"images/related_images/{pick.stem}_{pick.suffix[1:]}/{shot.name}"


def write_images(bundle: Bundle, folder: Path) -> None:
    """``annotations.xml`` and ``labels.json``."""
    clips, notes = tables(bundle)
    cvat_images.write(
        folder / XML,
        clips,
        unknown=bundle.unknown,
        names=bundle.name,
        notes=notes,
        by_name=True,
    )
    _write_labels(bundle, folder, notes, clips)


def write_videos(bundle: Bundle, folder: Path) -> None:
    """``tasks/<clip>.xml`` for each clip, ``labels.json``, and the list of the frames wanted."""
    clips, notes = tables(bundle)
    whole = [_whole(bundle, clip) for clip in clips]
    said = None if notes is None else {**notes, **{n: t[1] for n, t in bundle.tracks.items()}}
    picks: dict[str, set[int]] = {}
    for shot in bundle.shots:
        picks.setdefault(shot.ref.clip, set()).add(shot.ref.index)
    for clip in whole:
        cvat.write(
            folder / "tasks" / f"{bundle.clips[clip.name].stem}.xml",
            [clip],
            unknown=bundle.unknown,
            notes=said,
            fixed=picks,
        )
    _write_labels(bundle, folder, said, whole)
    _write_targets(bundle, folder)


def _whole(bundle: Bundle, clip: LabelledClip) -> LabelledClip:
    """All frames of a clip: with its tracks, where there are some.

    What people have not labelled is a deleted frame of the task; of proposals every frame is shown.
    """
    facts = bundle.clips[clip.name]
    table = clip.annotations
    if clip.name in bundle.tracks:
        table = bundle.tracks[clip.name][0]
    elif bundle.judged:
        table = replace(table, labelled=np.ones(table.frames, np.bool_))
    return replace(clip, annotations=table, path=facts.path)


def _write_targets(bundle: Bundle, folder: Path) -> None:
    with (folder / TARGETS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["task", "frame", "seconds", "rank", "reason"])
        for shot in sorted(bundle.shots, key=lambda shot: shot.ref):
            task = f"tasks/{bundle.clips[shot.ref.clip].stem}.xml"
            rank = shot.rank or None
            row = [task, shot.ref.index, shot.seconds, rank, shot.reason]
            writer.writerow([frame_map.cell(value) for value in row])


def _write_labels(
    bundle: Bundle, folder: Path, notes: Notes | None, clips: Sequence[LabelledClip]
) -> None:
    """The label definition for CVAT's editor of raw labels."""
    ignore = any(clip.annotations.ignore.any() for clip in clips)
    declared = attributes_of(ignore=ignore, verdicts=() if notes is None else values_of(notes))
    labels = [{"name": name, "attributes": declared} for name in bundle.labels]
    text = json.dumps(labels, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / LABELS).write_text(text + "\n", encoding="utf-8")
