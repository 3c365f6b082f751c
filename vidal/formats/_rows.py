"""What the readers of annotation files share: loading with good errors, checking rows.

A reader turns its file into plain row tuples; ``build`` sorts and checks them all at once. Nothing
is repaired: a row that cannot be meant is left out and listed with its place and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import FormatError
from vidal.formats._files import read_bytes
from vidal.types import Annotations, BoolArray, Skipped

Row = tuple[int, tuple[float, float, float, float], int, int, bool, str]
"""(frame, xyxy, label, track or -1, ignore, where in the file)."""


def read_text(path: Path, *members: str) -> str:
    """A text file as UTF-8 (a byte order mark is allowed); plain, gzip, or one of a zip's members.

    Args:
        path: the file.
        members: globs for the name of the member, where a zip is allowed.

    Raises:
        InputError: the file cannot be read.
        FormatError: it is not UTF-8 (says at which byte), or a broken archive or too large a one.
    """
    data = read_bytes(path, *members)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(path, f"byte {error.start}", "not UTF-8 text") from error


def load_json(path: Path, *members: str) -> Any:
    """The value of a JSON file; arguments as of ``read_text``.

    Raises:
        InputError: the file cannot be read.
        FormatError: it is not JSON (says at which line and column), or has one key twice in an
            object, where all but the last value would be lost.
    """
    text = read_text(path, *members)

    def only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twin = next(name for at, name in enumerate(names) if name in names[:at])
            raise FormatError(path, "", f"the key {twin[:60]!r} twice in one object")
        return value

    try:
        return json.loads(text, object_pairs_hook=only_once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise FormatError(path, where, f"not JSON ({error.msg})") from error
    except RecursionError as error:
        raise FormatError(path, "", "nested too deeply") from error
    except ValueError as error:
        raise FormatError(path, "", f"not JSON ({error})") from error


def build(
    classes: Sequence[str],
    labelled: BoolArray,
    rows: Sequence[Row],
    *,
    path: Path,
    skipped: Skipped | None = None,
    size: tuple[int, int] | None = None,
) -> Annotations:
    """One clip's table from rows in any order (rows of one frame keep their order).

    Left out, and listed in ``skipped``: boxes that are not finite, inverted or empty, boxes wholly
    outside an image of ``size`` (H, W), frames outside ``labelled``, and frames it marks False.
    A box partly outside the image stays as it is.

    Args:
        classes: the class names that labels index.
        labelled: (F,) bool, the annotated frames.
        rows: the boxes.
        path: the file they come from, for ``skipped``.
        skipped: receives what is left out.
        size: of the images, where known.
    """
    frame = np.array([min(max(row[0], -1), len(labelled)) for row in rows], dtype=np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.array([row[1] for row in rows], dtype=np.float64).reshape(-1, 4)
        boxes = wide.astype(np.float32)
    why = _reasons(frame, boxes, np.asarray(labelled, dtype=np.bool_), size)
    if skipped is not None:
        for at in np.flatnonzero(why).tolist():
            skipped.add(path, rows[at][5], _REASONS[why[at]])
    keep = np.flatnonzero(why == 0)
    keep = keep[np.argsort(frame[keep], kind="stable")]
    kept = [rows[at] for at in keep.tolist()]
    return Annotations(
        classes=tuple(classes),
        labelled=labelled,
        frame=frame[keep],
        boxes=boxes[keep],
        labels=np.array([row[2] for row in kept], dtype=np.int64),
        track=np.array([row[3] for row in kept], dtype=np.int64),
        ignore=np.array([row[4] for row in kept], dtype=np.bool_),
    )


_REASONS = (
    "",
    "box is not finite",
    "box is inverted or empty",
    "box lies outside the image",
    "frame is outside the clip",
    "frame is not annotated",
)


def _reasons(
    frame: NDArray[np.int64],
    boxes: NDArray[np.float32],
    labelled: BoolArray,
    size: tuple[int, int] | None,
) -> NDArray[np.int64]:
    """(N,) why a row is left out, as an index of ``_REASONS``; 0 = it stays."""
    inside = (frame >= 0) & (frame < len(labelled))
    annotated = np.zeros(len(frame), dtype=np.bool_)
    annotated[inside] = labelled[frame[inside]]
    finite = np.isfinite(boxes).all(axis=1)
    with np.errstate(invalid="ignore"):
        proper = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        touches = np.ones(len(frame), dtype=np.bool_)
        if size is not None:
            height, width = size
            touches = (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
            touches &= (boxes[:, 0] < width) & (boxes[:, 1] < height)
    why = np.zeros(len(frame), dtype=np.int64)
    for code, fine in ((5, annotated), (4, inside), (3, touches), (2, proper), (1, finite)):
        why[~fine] = code
    return why
