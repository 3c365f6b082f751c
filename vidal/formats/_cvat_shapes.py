"""Where the shapes of CVAT's XML lie: a box, or the extent of another outline.

A box keeps its rotation, which moves between key frames like its corners; ``turned`` gives the
extent. Polygons, ellipses, masks and cuboids have an outline and so an extent. Polylines, points
and skeletons have none: they mark a line or places on an object, not where it ends.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidal.errors import FormatError
from vidal.formats._xml import Event, need, real, shown, whole
from vidal.types import ScoreArray

Outline = tuple[float, float, float, float, float]
"""x1, y1, x2, y2 in pixels, and the rotation about the centre in degrees, clockwise."""

Corners = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""

NO_OBJECT = frozenset(("tag", "attribute"))
"""Elements beside shapes that do not mark an object."""

STRAIGHT = 0.1
"""Degrees by which a box may be turned and count as straight (a slip of the mouse)."""

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_CUBOID = [
    f"{side}{corner}{face}" for face in "12" for corner in ("tl", "bl", "tr", "br") for side in "xy"
]
_LARGEST = 2**20


def outline(path: Path, event: Event) -> Outline | None:
    """Extent of a shape; None where it has no outline, or is of an unknown kind.

    Raises:
        FormatError: an attribute is missing or no number, or a mask that is not one.
    """
    if event.tag == "box":
        x1, y1, x2, y2 = (_real(path, event, name) for name in _CORNERS)
        rotation = real(path, event.where, "rotation", event.attributes.get("rotation", "0"))
        return x1, y1, x2, y2, rotation
    if event.tag == "polygon":
        return _polygon(path, event)
    if event.tag == "cuboid":
        values = [_real(path, event, name) for name in _CUBOID]
        return _around(values[0::2], values[1::2])
    if event.tag == "ellipse":
        return _ellipse(path, event)
    if event.tag == "mask":
        return _mask(path, event)
    return None


def extent(path: Path, event: Event) -> Corners | None:
    """As ``outline``, with the rotation taken in."""
    found = outline(path, event)
    if found is None:
        return None
    x1, y1, x2, y2, rotation = found
    if rotation:
        box = np.array([[x1, y1, x2, y2]])
        x1, y1, x2, y2 = turned(box, np.array([rotation]))[0].tolist()
    return x1, y1, x2, y2


def turned(boxes: ScoreArray, degrees: ScoreArray) -> ScoreArray:
    """(N, 4) extents of boxes turned about their centres.

    Args:
        boxes: (N, 4) float64 xyxy.
        degrees: (N,); within ``STRAIGHT`` of a multiple of 360 the box itself is returned.
    """
    with np.errstate(invalid="ignore"):
        off = np.abs((degrees + 180) % 360 - 180)
    result = boxes.copy()
    bent = np.flatnonzero(~(off <= STRAIGHT))
    if not len(bent):
        return result
    some, angle = boxes[bent], np.deg2rad(np.where(np.isinf(degrees[bent]), np.nan, degrees[bent]))
    cos, sin = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    centre, half = (some[:, :2] + some[:, 2:]) / 2, (some[:, 2:] - some[:, :2]) / 2
    width, height = half[:, 0] * cos + half[:, 1] * sin, half[:, 0] * sin + half[:, 1] * cos
    reach = np.stack([width, height], axis=1)
    fine = (half > 0).all(axis=1) | np.isnan(angle)  # an inverted box stays one
    result[bent[fine]] = np.hstack([centre - reach, centre + reach])[fine]
    return result


def _real(path: Path, event: Event, name: str) -> float:
    return real(path, event.where, name, need(path, event, name))


def _around(xs: list[float], ys: list[float]) -> Outline:
    # NumPy's, for a NaN among them has to show
    return float(np.min(xs)), float(np.min(ys)), float(np.max(xs)), float(np.max(ys)), 0.0


def _polygon(path: Path, event: Event) -> Outline | None:
    xs, ys = [], []
    for point in need(path, event, "points").split(";"):
        if not point.strip():
            continue
        pair = point.split(",")
        if len(pair) != 2:
            raise FormatError(path, event.where, f"points: {shown(point)} is not x,y")
        xs.append(real(path, event.where, "points", pair[0]))
        ys.append(real(path, event.where, "points", pair[1]))
    return _around(xs, ys) if xs else None


def _ellipse(path: Path, event: Event) -> Outline:
    cx, cy, rx, ry = (_real(path, event, name) for name in ("cx", "cy", "rx", "ry"))
    angle = np.deg2rad(real(path, event.where, "rotation", event.attributes.get("rotation", "0")))
    with np.errstate(invalid="ignore", over="ignore"):
        width = float(np.hypot(rx * np.cos(angle), ry * np.sin(angle)))
        height = float(np.hypot(rx * np.sin(angle), ry * np.cos(angle)))
    if not (rx > 0 and ry > 0):
        width = height = -1.0
    return cx - width, cy - height, cx + width, cy + height, 0.0


def _mask(path: Path, event: Event) -> Outline:
    """Extent of the pixels of a mask: runs of 0 and 1 in turn, row by row, within its frame."""
    left, top, width, height = (
        whole(path, event.where, name, need(path, event, name))
        for name in ("left", "top", "width", "height")
    )
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise FormatError(path, event.where, f"mask of {width} x {height} pixels")
    texts = need(path, event, "rle").split(",")
    runs = np.array([whole(path, event.where, "rle", text) for text in texts], dtype=np.int64)
    if (runs < 0).any() or (runs > width * height).any() or runs.sum() != width * height:
        raise FormatError(path, event.where, f"rle does not fill {width} x {height} pixels")
    ends = np.cumsum(runs)[1::2]
    starts = ends - runs[1::2]
    starts, last = starts[starts < ends], ends[starts < ends] - 1
    if not len(starts):
        return float(left), float(top), float(left), float(top), 0.0
    wraps = starts // width != last // width
    x1 = 0 if wraps.any() else int((starts % width).min())
    x2 = width if wraps.any() else int((last % width).max()) + 1
    y1, y2 = int(starts[0] // width), int(last[-1] // width) + 1
    return float(left + x1), float(top + y1), float(left + x2), float(top + y2), 0.0
