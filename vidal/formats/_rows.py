"""What the readers of annotation files share: loading with good errors, checking rows.

A reader turns its file into plain row tuples; ``build`` sorts and checks them all at once. Nothing
is repaired: a row that cannot be meant is left out and listed with its place and the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.errors import FormatError
from vidal.formats._files import UTF_8, printable, read_bytes
from vidal.types import Annotations, BoolArray, IntArray, Skipped

Row = tuple[int, tuple[float, float, float, float], int, int, bool, str]
"""(frame, xyxy, label, track or -1, ignore, where in the file)."""


def read_text(path: Path, *members: str) -> str:
    """A text file as UTF-8 (a byte order mark is allowed); plain, gzip, or one of a zip's members.

    Args:
        path: the file.
        members: globs for the name of the member, where a zip is allowed.

    Raises:
        InputError: the file cannot be read.
        FormatError: it is not UTF-8 (says at which byte), holds control characters, or is a broken
            archive or too large a one.
    """
    text = _decoded(path, members)
    return printable(path, "", text)


def _decoded(path: Path, members: Sequence[str]) -> str:
    data = read_bytes(path, *members)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(path, f"byte {error.start}", "not UTF-8 text", hint=UTF_8) from error


def load_json(path: Path, *members: str) -> Any:
    """The value of a JSON file; arguments as of ``read_text``.

    Raises:
        InputError: the file cannot be read.
        FormatError: it is not JSON (says at which line and column), or has one key twice in an
            object, where all but the last value would be lost.
    """
    return json_of(path, "", _decoded(path, members))


def json_of(path: Path, place: str, text: str) -> Any:
    """The value of a JSON text.

    Args:
        path: of the file, for the error.
        place: of the text in it; empty = it is all of the file.
        text: the JSON.

    Raises:
        FormatError: as ``load_json``.
    """

    def only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            twin = Counter(name for name, _ in pairs).most_common(1)[0][0]
            raise FormatError(path, place, f"the key {twin[:60]!r} twice in one object")
        return value

    try:
        return json.loads(text, object_pairs_hook=only_once)
    except json.JSONDecodeError as error:
        where = place or f"line {error.lineno}, column {error.colno}"
        raise FormatError(path, where, f"not JSON ({error.msg})") from error
    except RecursionError as error:
        raise FormatError(path, place, "nested too deeply") from error
    except ValueError as error:
        raise FormatError(path, place, f"not JSON ({error})") from error


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of one clip as arrays, in any order.

    Attributes:
        frame: (N,) int64; outside 0..F-1 = not in the clip.
        boxes: (N, 4) xyxy, float32 or float64.
        labels, track: (N,) int64, -1 = unknown, none.
        ignore: (N,) bool.
        origin: (N,) int64, the element of the file that each row comes from.
    """

    frame: IntArray
    boxes: NDArray[np.floating]
    labels: IntArray
    track: IntArray
    ignore: BoolArray
    origin: IntArray


def build(
    classes: Sequence[str],
    labelled: BoolArray,
    rows: Sequence[Row],
    *,
    path: Path,
    skipped: Skipped | None = None,
    size: tuple[int, int] | None = None,
    incomplete: Iterable[int] = (),
) -> Annotations:
    """One clip's table from rows in any order (rows of one frame keep their order).

    As ``tabulate``, with each row an element of its own.

    Args:
        classes: the class names that labels index.
        labelled: (F,) bool, the annotated frames.
        rows: the boxes.
        path: the file they come from, for ``skipped``.
        skipped: receives what is left out.
        size: of the images, where known.
        incomplete: frames on which the reader left an object out.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.array([row[1] for row in rows], dtype=np.float64).reshape(-1, 4)
        columns = Columns(
            frame=np.array([min(max(r[0], -1), len(labelled)) for r in rows], dtype=np.int64),
            boxes=wide.astype(np.float32),
            labels=np.array([row[2] for row in rows], dtype=np.int64),
            track=np.array([row[3] for row in rows], dtype=np.int64),
            ignore=np.array([row[4] for row in rows], dtype=np.bool_),
            origin=np.arange(len(rows)),
        )
    waits = np.zeros(len(labelled), dtype=np.bool_)
    waits[list(incomplete)] = True
    return tabulate(
        classes,
        labelled,
        columns,
        lambda at: rows[at][5],
        path=path,
        skipped=skipped,
        size=size,
        incomplete=waits,
    )


def tabulate(
    classes: Sequence[str],
    labelled: BoolArray,
    columns: Columns,
    where: Callable[[int], str],
    *,
    path: Path,
    skipped: Skipped | None = None,
    size: tuple[int, int] | None = None,
    incomplete: BoolArray | None = None,
) -> Annotations:
    """One clip's table from columns (rows of one frame keep their order).

    Left out, and listed in ``skipped`` once an element and reason: boxes that are not finite,
    inverted, empty or further away than ``FAR``, boxes wholly outside an image of ``size`` (H, W),
    frames outside ``labelled``, and frames it marks False. A box partly outside the image stays as
    it is.

    A frame that lacks an object is not complete, and must not be taken for all that there is: the
    frames of boxes that are not finite, inverted, empty or too far away, and those of
    ``incomplete``, become not annotated, with all their rows. A box outside the image lacks
    nothing in it, but a frame that has no others was not found empty: it is not annotated either.

    Args:
        classes: the class names that labels index.
        labelled: (F,) bool, the annotated frames.
        columns: the boxes.
        where: from an element's number in ``columns.origin`` to its place in the file.
        path: the file they come from, for ``skipped``.
        skipped: receives what is left out.
        size: of the images, where known.
        incomplete: (F,) bool, frames on which the reader left an object out.
    """
    stated = np.asarray(labelled, dtype=np.bool_)
    waits = np.zeros(len(stated), dtype=np.bool_) if incomplete is None else incomplete.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = columns.boxes.astype(np.float32, copy=False)
    why = _reasons(columns.frame, boxes, stated, size)
    waits[columns.frame[np.isin(why, (_NOT_FINITE, _EMPTY, _AWAY))]] = True
    if skipped is not None and why.any():
        _list(columns.origin, why, where, path, skipped)
    waits[np.setdiff1d(columns.frame[why == _OUTSIDE], columns.frame[why == 0])] = True
    keep = np.flatnonzero(why == 0)
    keep = keep[~waits[columns.frame[keep]]]
    keep = keep[np.argsort(columns.frame[keep], kind="stable")]
    return Annotations(
        classes=tuple(classes),
        labelled=stated & ~waits,
        frame=columns.frame[keep],
        boxes=boxes[keep],
        labels=columns.labels[keep],
        track=columns.track[keep],
        ignore=columns.ignore[keep],
    )


def _list(
    origin: IntArray,
    why: NDArray[np.int64],
    where: Callable[[int], str],
    path: Path,
    skipped: Skipped,
) -> None:
    """One entry for each element and reason, in the order of the elements."""
    bad = np.flatnonzero(why)
    pairs = np.stack([origin[bad], why[bad]], axis=1)
    unique, counts = np.unique(pairs, axis=0, return_counts=True)
    for (element, reason), count in zip(unique.tolist(), counts.tolist(), strict=True):
        on = f" (on {count} frames)" if count > 1 else ""
        skipped.add(path, where(element), _REASONS[reason] + on)


FAR = 1e7
"""Pixels: a corner that far away is a broken number, not a place."""

_NOT_FINITE, _EMPTY, _OUTSIDE, _NO_FRAME, _UNASKED, _AWAY = range(1, 7)
_REASONS = (
    "",
    "box is not finite",
    "box is inverted or empty",
    "box lies outside the image",
    "frame is outside the clip",
    "frame is not annotated",
    "box lies millions of pixels away",
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
        near = (np.abs(boxes) < FAR).all(axis=1)
        proper = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        touches = np.ones(len(frame), dtype=np.bool_)
        if size is not None:
            height, width = size
            touches = (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
            touches &= (boxes[:, 0] < width) & (boxes[:, 1] < height)
    why = np.zeros(len(frame), dtype=np.int64)
    # the last one counts: a box without a place in the clip is that before anything else
    for code, fine in (
        (_OUTSIDE, touches),
        (_AWAY, near),
        (_EMPTY, proper),
        (_NOT_FINITE, finite),
    ):
        why[~fine] = code
    why[~annotated] = _UNASKED
    why[~inside] = _NO_FRAME
    return why
