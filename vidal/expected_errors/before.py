"""What the detector knew before suppression, as evidence about its rows and about candidates.

Only where vidal runs the detector; all columns are NaN where the detector does not tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidal import boxes as geometry
from vidal.types import AROUND, Detections, FloatArray, IntArray

MEETS = 0.3
"""IoU above which a refused proposal lies where a detection or an expected box does."""
FRAME_COLUMNS = (
    "refused objectness",
    "refused foreground",
    "refused many",
    "refused mass",
    "refused middle",
)


def before_columns(
    detections: Detections, frame: IntArray, boxes: FloatArray
) -> dict[str, NDArray[np.float32]]:
    """Columns of detections 0..N-1 and, after them, expected boxes.

    Args:
        detections: the clip's table.
        frame: (R,) of every row.
        boxes: (R, 4) of every row.
    """
    n, count = len(detections), len(frame)
    columns = {name: np.full(count, np.nan, np.float32) for name in AROUND}
    if detections.around.shape[1]:
        for name, values in zip(AROUND, detections.around.T, strict=True):
            columns[name][:n] = values
    columns |= _met(detections, frame, boxes)
    for name, values in frame_columns(detections).items():
        columns[name] = values[frame]
    return columns


def frame_columns(detections: Detections) -> dict[str, NDArray[np.float32]]:
    """(F,) columns about the proposals of a frame that no row overlaps."""
    refused = detections.refused
    if not refused.shape[1]:
        nothing = np.full(detections.frames, np.nan, np.float32)
        return {name: nothing.copy() for name in FRAME_COLUMNS}
    objectness, foreground = refused[:, :, 4], refused[:, :, 5]
    return {
        "refused objectness": objectness[:, 0],
        "refused foreground": foreground.max(axis=1),
        "refused many": (objectness > 0.5).sum(axis=1).astype(np.float32),
        "refused mass": foreground.sum(axis=1),
        "refused middle": objectness[:, objectness.shape[1] // 2],
    }


def _met(
    detections: Detections, frame: IntArray, boxes: FloatArray
) -> dict[str, NDArray[np.float32]]:
    """The surest refused proposal that lies where a row does."""
    names = ("refused here objectness", "refused here foreground", "refused here overlap")
    width = detections.refused.shape[1]
    if not width:
        return {name: np.full(len(frame), np.nan, np.float32) for name in names}
    columns = {name: np.zeros(len(frame), np.float32) for name in names}
    table = detections.refused.reshape(-1, 6)
    there = np.flatnonzero(table[:, 4] > 0)
    at = np.repeat(np.arange(detections.frames, dtype=np.int64), width)[there]
    order = np.argsort(frame, kind="stable")
    left, right, iou = geometry.overlapping(
        (frame[order], boxes[order]), (at, np.ascontiguousarray(table[there, :4])), MEETS
    )
    rows = order[left]
    for name, values in zip(
        names, (table[there, 4][right], table[there, 5][right], iou), strict=True
    ):
        np.maximum.at(columns[name], rows, values)
    return columns
