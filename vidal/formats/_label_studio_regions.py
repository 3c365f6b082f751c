"""What the regions of Label Studio mean: extents in percent.

Coordinates are percent of the image; a rectangle turns about its top left corner and an ellipse
about its centre, clockwise, in pixels. So an extent needs the size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidal.errors import FormatError
from vidal.formats._cvat_shapes import STRAIGHT
from vidal.formats._xml import shown
from vidal.types import BoolArray, ScoreArray

_CLASSIFIED = ("choices", "taxonomy", "rating", "number", "textarea", "datetime")
NO_OBJECT = frozenset((*_CLASSIFIED, "pairwise", "ranker", "relation", "timelinelabels"))
"""Answers that mark no object."""

_SIDES = ("x", "y", "width", "height")


class Percent(NamedTuple):
    """A region, in percent and degrees; of an ellipse ``width`` and ``height`` are radii."""

    x: float
    y: float
    width: float
    height: float
    rotation: float
    ellipse: bool = False


def number(path: Path, where: str, value: dict[str, Any], key: str, default: Any = None) -> float:
    """A JSON number.

    Raises:
        FormatError: anything else, or a whole number beyond 2**53.
    """
    found = value.get(key, default)
    if type(found) not in (int, float) or (type(found) is int and abs(found) > 2**53):
        raise FormatError(path, where, f"{key}: {shown(found)} is not a number")
    return float(found)


def pixels(path: Path, where: str, value: dict[str, Any], key: str) -> int:
    """Width or height of an image.

    Raises:
        FormatError: not a whole number from 1 to 2**20.
    """
    found = number(path, where, value, key)
    if not 1 <= found <= 2**20 or found != int(found):
        raise FormatError(path, where, f"{key}: {found} pixels")
    return int(found)


def rectangle(path: Path, where: str, value: dict[str, Any]) -> Percent:
    """A rectangle, or a key frame of one."""
    x, y, width, height = (number(path, where, value, key) for key in _SIDES)
    return Percent(x, y, width, height, number(path, where, value, "rotation", 0))


def extent(path: Path, where: str, kind: str, value: dict[str, Any]) -> Percent | None:
    """The region of an image; None where it has no outline, or is of an unknown kind.

    Raises:
        FormatError: a coordinate is missing or no number.
    """
    if kind.startswith(("rectangle", "labels")) and set(_SIDES) <= value.keys():
        return rectangle(path, where, value)
    if kind.startswith(("ellipse", "labels")) and "radiusX" in value:
        keys = ("x", "y", "radiusX", "radiusY")
        x, y, rx, ry = (number(path, where, value, key) for key in keys)
        return Percent(x, y, rx, ry, number(path, where, value, "rotation", 0), ellipse=True)
    if kind.startswith(("polygon", "labels")) and "points" in value:
        return _polygon(path, where, value)
    if kind.startswith("rectangle"):
        return rectangle(path, where, value)  # says what is missing
    return None


def _polygon(path: Path, where: str, value: dict[str, Any]) -> Percent | None:
    points = value["points"]
    if not isinstance(points, list) or value.get("closed") is False or not points:
        return None
    places = []
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise FormatError(path, where, f"points: {shown(point)} is not [x, y]")
        pair = dict(zip("xy", point, strict=True))
        places.append([number(path, where, pair, axis) for axis in "xy"])
    (x1, y1), (x2, y2) = np.min(places, axis=0).tolist(), np.max(places, axis=0).tolist()
    return Percent(x1, y1, x2 - x1, y2 - y1, 0.0)


def corners(regions: Sequence[Percent], size: tuple[int, int]) -> ScoreArray:
    """(N, 4) float64 xyxy in pixels of an image of ``size`` (H, W)."""
    wide = np.array(regions, dtype=np.float64).reshape(-1, 6)
    return in_pixels(wide[:, :5], wide[:, 5] != 0, size)


def in_pixels(values: ScoreArray, ellipse: BoolArray, size: tuple[int, int]) -> ScoreArray:
    """As ``corners``, from (N, 5) columns of ``Percent`` and (N,) bool."""
    height, width = size
    with np.errstate(invalid="ignore", over="ignore"):
        x, y, w, h = (values[:, :4] / 100).T
        boxes = np.stack([x * width, y * height, (x + w) * width, (y + h) * height], axis=1)
        bent = np.flatnonzero(~(np.abs((values[:, 4] + 180) % 360 - 180) <= STRAIGHT))
        if len(bent):
            boxes[bent] = _turned(boxes[bent], values[bent, 4])
        if ellipse.any():
            boxes[ellipse] = _ellipses(values[ellipse], size)
    return boxes


def _turned(boxes: ScoreArray, degrees: ScoreArray) -> ScoreArray:
    """Extents of boxes turned about their top left corners; inverted ones stay as they are."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    w, h = (boxes[:, 2:] - boxes[:, :2]).T
    xs = np.stack([0 * w, w * cos, w * cos - h * sin, -h * sin])
    ys = np.stack([0 * w, w * sin, w * sin + h * cos, h * cos])
    low, high = np.stack([xs.min(0), ys.min(0)], axis=1), np.stack([xs.max(0), ys.max(0)], axis=1)
    turned = np.hstack([boxes[:, :2] + low, boxes[:, :2] + high])
    inverted = (w <= 0) | (h <= 0)
    turned[inverted] = boxes[inverted]
    return turned


def _ellipses(values: ScoreArray, size: tuple[int, int]) -> ScoreArray:
    height, width = size
    x, y, rx, ry = (values[:, :4] / 100 * (width, height, width, height)).T
    angle = np.deg2rad(values[:, 4])
    w = np.hypot(rx * np.cos(angle), ry * np.sin(angle))
    h = np.hypot(rx * np.sin(angle), ry * np.cos(angle))
    sign = np.where((rx > 0) & (ry > 0), 1.0, np.where(np.isnan(rx + ry), np.nan, -1.0))
    w, h = w * sign, h * sign
    return np.stack([x - w, y - h, x + w, y + h], axis=1)


def labels_of(value: Any) -> list[str]:
    """The labels of a region; none where there is no list of texts."""
    fine = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return list(value) if fine else []


def together(
    results: Sequence[tuple[str, dict[str, Any]]],
) -> list[list[tuple[str, dict[str, Any]]]]:
    """The results of an image, those of one region in one list.

    A region is one result, unless shape and label are separate controls: then results of the type
    ``labels`` belong to the one of their id that has a shape and no label of its own.

    Args:
        results: (where, result), each with a text under ``type``.
    """
    bare: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for item in results:
        name = item[1].get("id")
        if name is not None and not item[1]["type"].endswith("labels"):
            bare.setdefault(str(name), []).append(item)
    regions: list[list[tuple[str, dict[str, Any]]]] = []
    shapes: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, items in bare.items():
        if len(items) == 1:
            shapes[name] = [items[0]]
    for item in results:
        kind, name = item[1]["type"], str(item[1].get("id"))
        if kind == "labels" and name in shapes:
            shapes[name].append(item)
        elif name in shapes and item is shapes[name][0]:
            regions.append(shapes[name])
        else:
            regions.append([item])
    return regions
