"""The tracks of a Label Studio video: key frames, and the boxes that they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidal.formats._label_studio_regions import Percent, in_pixels
from vidal.formats._rows import Columns
from vidal.formats._tracks import fill, proper
from vidal.types import BoolArray, IntArray, ScoreArray, Skipped


@dataclass(slots=True)
class Tracks:
    """The key frames of all regions of one video, column by column.

    Attributes:
        region: number of the region of each key.
        frame: 0-based; -1 or the clip's length = not in the clip.
        values: (x, y, width, height, rotation) in percent and degrees.
        enabled: whether the object stays in view after the key.
        labels: class name of each region; None = not one label: its frames are not complete.
        names: track number of each region.
        where: place of each region.
    """

    region: list[int] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)
    enabled: list[bool] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    where: list[str] = field(default_factory=list)

    def add(self, frame: int, shape: Percent, enabled: bool) -> None:
        """A key frame of the last region."""
        self.region.append(len(self.where) - 1)
        self.frame.append(frame)
        self.values.append(shape[:5])
        self.enabled.append(enabled)


def boxes_of(
    path: Path,
    tracks: Tracks,
    length: int,
    size: tuple[int, int],
    labels: IntArray,
    skipped: Skipped,
) -> tuple[Columns, BoolArray]:
    """Boxes on and between the key frames, and (F,) bool: frames on which an object is not known.

    Args:
        path: of the file.
        tracks: the regions.
        length: frames of the clip.
        size: (H, W) of its images.
        labels: (R,) class of each region.
        skipped: receives what is left out.

    Raises:
        FormatError: too many boxes.
    """
    region, knots, values, enabled = _held(tracks, length, size)
    inside = (knots >= 0) & (knots < length)
    straight = np.zeros(len(knots), dtype=np.bool_)
    good = inside & proper(in_pixels(values, straight, size))
    clean = values.copy()
    clean[~good] = 0
    clean[:, 4] = np.unwrap(clean[:, 4], period=360)
    seen = knots <= length  # one that stands for the open end is further on
    filled = fill(
        path,
        region,
        knots,
        clean,
        shown=seen,
        onward=enabled,
        good=good,
        plain=np.ones(len(knots), dtype=np.bool_),
    )
    incomplete = np.zeros(length, dtype=np.bool_)
    for at, first, last in zip(filled.gaps, filled.first, filled.last, strict=True):
        first, last = max(int(first), 0), min(int(last), length - 1)
        if first <= last:
            incomplete[first : last + 1] = True
            why = f"frames {first} to {last} lie beside a bad key frame: they wait"
            skipped.add(path, tracks.where[int(region[at])], why)
    bad = np.flatnonzero(~good & seen)
    origin = np.concatenate([region[filled.origin], region[bad]])
    frame = np.concatenate([filled.frame, np.where(inside[bad], knots[bad], -1)])
    boxes = np.concatenate(
        [
            in_pixels(filled.values, np.zeros(len(filled.frame), dtype=np.bool_), size),
            in_pixels(values[bad], straight[bad], size),
        ]
    )
    nameless = np.array([name is None for name in tracks.labels], dtype=np.bool_)[origin]
    there = (frame >= 0) & nameless
    incomplete[frame[there]] = True
    keep = ~nameless
    columns = Columns(
        frame=frame[keep],
        boxes=boxes[keep],
        labels=labels[origin[keep]],
        track=np.array(tracks.names, dtype=np.int64)[origin[keep]],
        ignore=np.zeros(int(keep.sum()), dtype=np.bool_),
        origin=origin[keep],
    )
    return columns, incomplete


def _held(
    tracks: Tracks, length: int, size: tuple[int, int]
) -> tuple[IntArray, IntArray, ScoreArray, BoolArray]:
    """Region, frame, values and enabled of all keys in order, each region held to its end.

    The last key of a region, if enabled, holds to the end of the video: a further key says so. One
    that cannot be meant holds nothing: the further key is then beyond ``length``.
    """
    region = np.array(tracks.region, dtype=np.int64)
    frame = np.array(tracks.frame, dtype=np.int64)
    values = np.array(tracks.values, dtype=np.float64).reshape(-1, 5)
    enabled = np.array(tracks.enabled, dtype=np.bool_)
    order = np.lexsort((frame, region))
    region, frame, values, enabled = region[order], frame[order], values[order], enabled[order]
    last = np.ones(len(region), dtype=np.bool_)
    last[:-1] = region[1:] != region[:-1]
    held = np.flatnonzero(last & enabled & (frame < length - 1))
    good = proper(in_pixels(values[held], np.zeros(len(held), dtype=np.bool_), size))
    good &= frame[held] >= 0
    end = np.where(good, length - 1, length + 1)
    region, frame = np.append(region, region[held]), np.append(frame, end)
    values = np.concatenate([values, values[held]])
    enabled = np.append(enabled, np.zeros(len(held), dtype=np.bool_))
    order = np.lexsort((frame, region))
    return region[order], frame[order], values[order], enabled[order]
