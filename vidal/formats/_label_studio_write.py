"""Writing Label Studio tasks; ``vidal.formats.label_studio`` has the conventions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import quoteattr

import numpy as np

from vidal.formats._names import frame_name
from vidal.formats._notes import CERTAINTY, VERDICT, Notes, RowNote, note_of
from vidal.formats._tracks import key_positions, runs, tracks
from vidal.formats._write import write_lines
from vidal.types import UNKNOWN, Annotations, FloatArray, FrameRef, IntArray, LabelledClip, Skipped

Kind = Literal["image", "video"]
_MODEL = "vidal"


def config(
    classes: Sequence[str],
    kind: Kind = "image",
    *,
    verdicts: Sequence[str] = (),
    shown: Sequence[str] = (),
) -> str:
    """The labelling configuration that fits the tasks of ``write``.

    Args:
        classes: labels, in order.
        kind: of the tasks.
        verdicts: values of the choice that every region has beside its label (images only); with
            it goes a number for its certainty. Empty = neither.
        shown: keys of ``data`` whose texts stand above the image.
    """
    labels = "".join(f"<Label value={quoteattr(name)}/>" for name in classes)
    if kind == "image":
        # No named element: beside a second one Label Studio takes no pictures by upload.
        texts = "".join(f'<Header value="${key}"/>' for key in shown)
        choices = "".join(f"<Choice value={quoteattr(value)}/>" for value in verdicts)
        regions = (
            f'<Choices name="{VERDICT}" toName="image" perRegion="true" choice="single">{choices}'
            f'</Choices><Number name="{CERTAINTY}" toName="image" perRegion="true" min="0" max="1"'
            ' step="0.01"/>'
        )
        return (
            f'<View>{texts}<Image name="image" value="$image"/>'
            f'<RectangleLabels name="label" toName="image">{labels}</RectangleLabels>'
            f"{regions if verdicts else ''}</View>"
        )
    return (
        '<View><Video name="video" value="$video"/><VideoRectangle name="box" toName="video"/>'
        f'<Labels name="videoLabels" toName="video">{labels}</Labels></View>'
    )


def write(
    path: Path,
    clips: Iterable[LabelledClip],
    *,
    kind: Kind = "image",
    url: Callable[[str], str] = str,
    extra: Mapping[FrameRef, Mapping[str, Any]] | None = None,
    names: Callable[[FrameRef], str] = frame_name,
    notes: Notes | None = None,
    tolerance: float = 1.0,
    unknown: str | None = "unknown",
    skipped: Skipped | None = None,
) -> Path:
    """Write tasks to import: an image task a labelled frame, or a video task a clip.

    Each task carries its frame (``clip``, ``index``) or clip (``clip``, ``frames``, ``width``,
    ``height``) in ``data``, and the boxes as a prediction. Tracks are lost in image tasks; ignore
    regions have no place and are listed. In a video task all frames count as annotated.

    Args:
        path: the JSON file.
        clips: with sizes, and for video tasks with rates; streamed.
        kind: images or videos.
        url: from a file name (``<clip>_<index>.jpg``, or the video's) to what goes into ``data``.
        extra: more ``data`` of image tasks, such as rank, score and reason.
        names: from a frame to the name of its image.
        notes: what is said of each box of image tasks: ``score`` of its region, and answers to the
            controls that ``config`` makes for ``verdicts``.
        tolerance: as in ``vidal.formats.cvat.write``, for key frames of videos.
        unknown: label for objects of class -1; None leaves them out.
        skipped: receives what is left out.

    Raises:
        OutputError: the place cannot be written.
        ValueError: a clip without size or rate, or a track twice in one frame.
    """
    path = Path(path)
    skip = Skipped() if skipped is None else skipped
    job = _Job(path, url, extra or {}, names, notes, tolerance, unknown, skip)
    tasks = (
        task for clip in clips for task in (job.images if kind == "image" else job.video)(clip)
    )
    write_lines(path, _array(tasks))
    return path


def _array(tasks: Iterator[dict[str, Any]]) -> Iterator[str]:
    start = "[\n"
    for task in tasks:
        yield start + json.dumps(task, ensure_ascii=False, allow_nan=False)
        start = ",\n"
    yield "[]\n" if start == "[\n" else "\n]\n"


@dataclass(frozen=True, slots=True)
class _Job:
    """Options of one call of ``write``."""

    path: Path
    url: Callable[[str], str]
    extra: Mapping[FrameRef, Mapping[str, Any]]
    names: Callable[[FrameRef], str]
    notes: Notes | None
    tolerance: float
    unknown: str | None
    skipped: Skipped

    def images(self, clip: LabelledClip) -> Iterator[dict[str, Any]]:
        size = _size(clip)
        kept = self._kept_rows(clip)
        table = clip.annotations.keep(kept)
        for index in np.flatnonzero(table.labelled).tolist():
            ref = FrameRef(clip.name, index)
            result: list[dict[str, Any]] = []
            rows = range(*table.on(index).indices(len(table)))
            for number, (row, value) in enumerate(
                zip(rows, _percent(table.boxes[rows.start : rows.stop], size), strict=True)
            ):
                name = self._name(table, int(table.labels[row]))
                note = note_of(self.notes, clip.name, int(kept[row]))
                result += _region(f"box-{number}", value, name, size, note)
            data = {**self.extra.get(ref, {}), "clip": clip.name, "index": index}
            data["image"] = self.url(self.names(ref))
            yield {"data": data, "predictions": [{"model_version": _MODEL, "result": result}]}

    def video(self, clip: LabelledClip) -> Iterator[dict[str, Any]]:
        height, width = _size(clip)
        if clip.rate is None:
            raise ValueError(f"{clip.name}: rate is not known")
        table = clip.annotations.keep(self._kept_rows(clip))
        data = {
            "clip": clip.name,
            "frames": table.frames,
            "width": width,
            "height": height,
            "video": self.url(clip.path.name if clip.path else clip.name),
        }
        fresh = int(table.track.max(initial=-1)) + 1
        used: set[int] = set()
        result = []
        for track, rows in tracks(table):
            if track < 0 or track in used:
                track, fresh = fresh, fresh + 1
            used.add(track)
            value = {
                "framesCount": table.frames,
                "duration": float(table.frames / clip.rate),
                "labels": [self._name(table, int(table.labels[rows[0]]))],
                "sequence": self._sequence(clip, table, rows),
            }
            region = {"id": f"track-{track}", "from_name": "box", "to_name": "video"}
            result.append({**region, "type": "videorectangle", "value": value})
        yield {"data": data, "predictions": [{"model_version": _MODEL, "result": result}]}

    def _sequence(
        self, clip: LabelledClip, table: Annotations, rows: IntArray
    ) -> list[dict[str, Any]]:
        """Key frames; the last of each unbroken stretch is not enabled."""
        frames, boxes = table.frame[rows], table.boxes[rows]
        values = _percent(boxes, _size(clip))
        rate = clip.rate or 1
        keys: list[dict[str, Any]] = []
        for run in runs(frames):
            chosen = key_positions(frames[run], boxes[run], tolerance=self.tolerance) + run.start
            for at in chosen.tolist():
                index = int(frames[at])
                when = {"frame": index + 1, "time": float(index / rate)}
                keys.append({**values[at], **when, "enabled": at != run.stop - 1})
        return keys

    def _kept_rows(self, clip: LabelledClip) -> IntArray:
        """The rows that can be said; the others are listed."""
        table = clip.annotations
        nameless = (table.labels == UNKNOWN) & (self.unknown is None)
        for row in np.flatnonzero(nameless | table.ignore):
            why = "ignore region" if table.ignore[row] else "unknown object"
            self.skipped.add(self.path, f"{clip.name}@{table.frame[row]:06d}", why)
        return np.flatnonzero(~(nameless | table.ignore))

    def _name(self, table: Annotations, label: int) -> str:
        return table.classes[label] if label != UNKNOWN else str(self.unknown)


def _region(
    name: str,
    value: Mapping[str, float],
    label: str,
    size: tuple[int, int],
    note: RowNote | None,
) -> list[dict[str, Any]]:
    """The results of one box: its rectangle and, under the same id, what is said of it."""
    height, width = size
    common = {
        "id": name,
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
    }

    def result(control: str, kind: str, answer: Any) -> dict[str, Any]:
        return {**common, "from_name": control, "type": kind, "value": {**value, kind: answer}}

    box = result("label", "rectanglelabels", [label])
    if note is None:
        return [box]
    if not math.isnan(note.score):
        box["score"] = round(note.score, 6)
    said = [box, result(VERDICT, "choices", [note.value])]
    if not math.isnan(note.certainty):
        said.append(result(CERTAINTY, "number", round(note.certainty, 2)))
    return said


def _size(clip: LabelledClip) -> tuple[int, int]:
    if clip.size is None:
        raise ValueError(f"{clip.name}: size is not known")
    return clip.size


def _percent(boxes: FloatArray, size: tuple[int, int]) -> list[dict[str, float]]:
    """Left, top, width and height in percent of the image."""
    height, width = size
    wide = boxes.astype(np.float64)
    wide[:, 2:] -= wide[:, :2]
    share = 100 * wide / (width, height, width, height)
    return [
        {"x": x, "y": y, "width": w, "height": h, "rotation": 0} for x, y, w, h in share.tolist()
    ]
