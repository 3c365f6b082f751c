"""What the readers of detection files share: rows in, one checked table a clip out.

A reader yields ``FoundClip`` with plain rows; ``settle`` turns those of all files into arrays over
one list of classes. A score that is no probability is an error with its place; a box that cannot
be meant is left out and listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidal.errors import FormatError
from vidal.formats._names import believable
from vidal.types import FloatArray, HalfArray, IntArray, Skipped

Transform = Literal["none", "sigmoid"]

NAMELESS = "object"
"""The class of formats without classes, unless the user names it."""
_SUM_TOLERANCE = 0.02
_HALF_LIMIT = float(np.finfo(np.float16).max)


class Row(NamedTuple):
    """One detection: ``label`` is a name, or a position in names that the user gives."""

    number: int
    box: tuple[float, float, float, float]
    score: float
    label: str | int
    where: str
    probs: Sequence[float] | None = None
    features: Sequence[float] | None = None


@dataclass(slots=True)
class FoundClip:
    """The detections of one clip as a file holds them.

    Attributes:
        names: what the file calls the clip, the most specific first.
        path: the file.
        named: the file itself says which clip it is about; else its name does.
        first: number of the first frame, 0 or 1.
        by_image: the numbers are those of image files where the clip is a folder of images.
        relative: boxes are shares of the image's width and height.
        listed: numbers of the frames that the file lists, with or without detections; None where
            the format lists detections only.
        size: (height, width), where stated.
        rate: frames a second, where stated.
        length: how many frames the clip has, where stated.
        classes: in the order of ``probs``, where the file states them.
        rows: the detections, in any order.
    """

    names: tuple[str, ...]
    path: Path
    named: bool = True
    first: int = 0
    by_image: bool = False
    relative: bool = False
    listed: set[int] | None = None
    size: tuple[int, int] | None = None
    rate: Fraction | None = None
    length: int | None = None
    classes: tuple[str, ...] | None = None
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class DetectedClip:
    """One clip's detections, sorted by frame number; attributes as of ``FoundClip``.

    Attributes:
        listed: (L,) int64, sorted; None where the format does not list frames.
        number: (N,) int64, sorted.
        boxes: (N, 4) float32 xyxy, in pixels or, if ``relative``, in [0, 1].
        scores: (N,) float32 in [0, 1].
        labels: (N,) int64.
        probs: (N, K+1) float32, background last.
        features: (N, D) float16; D is 0 where there are none.
    """

    names: tuple[str, ...]
    path: Path
    named: bool
    first: int
    by_image: bool
    relative: bool
    listed: IntArray | None
    size: tuple[int, int] | None
    rate: Fraction | None
    length: int | None
    number: IntArray
    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    probs: FloatArray
    features: HalfArray


@dataclass(frozen=True, slots=True, eq=False)
class DetectionFiles:
    """Everything that was read.

    Attributes:
        classes: the K class names that ``labels`` index.
        clips: one entry a clip.
        distributions: the files hold class distributions; else ``probs`` was built: the score on
            the label, the rest on the background.
        features: length of the feature of a box, 0 = none.
        skipped: boxes that were left out, with their place.
        others: class names that were left out, and how many detections.
        unlike_logits: all scores were in [0, 1] before a sigmoid was applied.
    """

    classes: tuple[str, ...]
    clips: tuple[DetectedClip, ...]
    distributions: bool
    features: int
    skipped: Skipped
    others: tuple[tuple[str, int], ...]
    unlike_logits: bool


def box_of(path: Path, where: str, value: Any) -> tuple[float, float, float, float]:
    """Four numbers of a JSON list.

    Raises:
        FormatError: anything else.
    """
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise FormatError(path, where, "a box needs four numbers")
    a, b, c, d = (number_of(path, where, item) for item in value)
    return a, b, c, d


def number_of(path: Path, where: str, value: Any) -> float:
    """A JSON number; also one written as text.

    Raises:
        FormatError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise FormatError(path, where, f"{value!r:.40} is not a number")
    try:
        if isinstance(value, str) and "_" in value:
            raise ValueError(value)  # Python alone takes 1_0 for ten
        return float(value)
    except (ValueError, OverflowError):
        raise FormatError(path, where, f"{value!r:.40} is not a number") from None


def frame_of(path: Path, where: str, value: Any, *, first: int = 0) -> int:
    """A frame number, as JSON or text.

    Raises:
        FormatError: not a whole number, below ``first``, or beyond belief.
    """
    wide = number_of(path, where, value)
    if not isfinite(wide) or wide != int(wide) or wide < first:
        raise FormatError(path, where, f"frame: {value!r:.40} is not a whole number from {first}")
    return believable(path, where, int(wide))


def numbers_of(path: Path, where: str, value: Any) -> Sequence[float] | None:
    """A list of finite JSON numbers; None stays None.

    Raises:
        FormatError: anything else.
    """
    if value is None:
        return None
    if not isinstance(value, list):
        raise FormatError(path, where, "not a list of numbers")
    numbers = [number_of(path, f"{where}[{at}]", item) for at, item in enumerate(value)]
    for at, number in enumerate(numbers):
        if not isfinite(number):
            raise FormatError(path, f"{where}[{at}]", f"{number} is not finite")
    return numbers


def settle(
    found: Iterable[FoundClip], *, classes: Sequence[str] | None, transform: Transform
) -> DetectionFiles:
    """Check everything and bring it to one list of classes.

    Args:
        found: the clips of all files.
        classes: names to keep, in this order, or of rows without names, by position. None = the
            classes that the files state, then all others that occur, by name.
        transform: ``sigmoid`` for scores that are logits.

    Raises:
        FormatError: a score outside [0, 1] (after the transform), ``probs`` that do not fit, ...
    """
    clips = list(found)
    vocabulary = _vocabulary(clips, classes)
    kept = tuple(classes) if classes is not None else vocabulary
    index = {name: label for label, name in enumerate(kept)}
    skipped, others = Skipped(), dict[str, int]()
    with_probs, width = _uniform(clips)
    inside = True
    tables = []
    for clip in clips:
        labels = _labels(clip, classes, index, others)
        rows = [row for row, label in zip(clip.rows, labels, strict=True) if label >= 0]
        raw = _column([row.score for row in rows], 1)
        inside = inside and bool(((raw >= 0) & (raw <= 1)).all())
        scores = _scores(clip.path, rows, raw, transform)
        label = np.array([each for each in labels if each >= 0], dtype=np.int64)
        probs = _stated(clip, rows, kept) if with_probs else _built(scores, label, len(kept))
        tables.append(_table(clip, rows, scores, label, probs, width, skipped))
    return DetectionFiles(
        classes=kept,
        clips=tuple(tables),
        distributions=with_probs,
        features=width,
        skipped=skipped,
        others=tuple(sorted(others.items())),
        unlike_logits=transform == "sigmoid" and inside and any(c.rows for c in clips),
    )


def _vocabulary(clips: Sequence[FoundClip], classes: Sequence[str] | None) -> tuple[str, ...]:
    """Stated classes in their order, then names that occur, sorted."""
    stated = dict.fromkeys(name for clip in clips for name in clip.classes or ())
    occurring = {_name(row.label, classes) for clip in clips for row in clip.rows}
    return (*stated, *sorted(occurring - set(stated)))


def _name(label: str | int, classes: Sequence[str] | None) -> str:
    if isinstance(label, str):
        return label
    if classes is None:
        return NAMELESS if label < 0 else f"class {label}"
    return classes[max(label, 0)] if label < len(classes) else ""


def _labels(
    clip: FoundClip, classes: Sequence[str] | None, index: dict[str, int], others: dict[str, int]
) -> list[int]:
    """The label of each row, -1 for classes that are not kept (counted in ``others``)."""
    labels = []
    for row in clip.rows:
        if isinstance(row.label, int) and classes is not None:
            _check_position(clip.path, row, classes)
        name = _name(row.label, classes)
        label = index.get(name)
        if label is None:
            label = index[name] = _alike(name, index)  # looked for once a name
        if label < 0:
            others[name] = others.get(name, 0) + 1
        labels.append(label)
    return labels


def _alike(name: str, index: Mapping[str, int]) -> int:
    """The label of the one class that is called so whatever its case, as for annotations; or -1."""
    found = {
        label for each, label in index.items() if label >= 0 and each.casefold() == name.casefold()
    }
    return found.pop() if len(found) == 1 else -1


def _check_position(path: Path, row: Row, classes: Sequence[str]) -> None:
    if isinstance(row.label, int) and row.label >= len(classes):
        why = f"class {row.label}, but {len(classes)} names were given"
        raise FormatError(path, row.where, why, hint="Name all classes in order with --classes.")
    if row.label == -1 and len(classes) != 1:
        why = f"the file has no classes, but {len(classes)} names were given"
        raise FormatError(path, row.where, why, hint="Name one class with --classes.")


def _uniform(clips: Sequence[FoundClip]) -> tuple[bool, int]:
    """Whether rows have ``probs``, and the length of ``features``; the same in all rows."""
    first: Row | None = None
    for clip in clips:
        for row in clip.rows:
            first = first or row
            for name in ("probs", "features"):
                mine, theirs = getattr(row, name), getattr(first, name)
                if (mine is None) != (theirs is None):
                    why = f"{name}: {'missing' if mine is None else 'given'}, unlike elsewhere"
                    raise FormatError(clip.path, row.where, why)
                if name == "features" and mine is not None and len(mine) != len(theirs):
                    why = f"features: {len(mine)} numbers, {len(theirs)} elsewhere"
                    raise FormatError(clip.path, row.where, why)
    if first is None:
        return False, 0
    return first.probs is not None, len(first.features or ())


def _column(values: Sequence[Any], ndim: int, width: int = 0) -> NDArray[np.float64]:
    shape = (len(values),) if ndim == 1 else (len(values), width)
    return np.array(values, dtype=np.float64).reshape(shape)


def _scores(
    path: Path, rows: Sequence[Row], raw: NDArray[np.float64], transform: Transform
) -> FloatArray:
    bad = ~np.isfinite(raw)
    if transform == "sigmoid":
        with np.errstate(over="ignore", invalid="ignore"):
            raw = 1 / (1 + np.exp(-raw))
    wrong = np.flatnonzero(bad | ~((raw >= 0) & (raw <= 1)))
    if len(wrong):
        row = rows[int(wrong[0])]
        why = f"score {row.score:g} is not in [0, 1]"
        raise FormatError(
            path, row.where, why, hint="If scores are logits, give --score-transform sigmoid."
        )
    return raw.astype(np.float32)


def _built(scores: FloatArray, labels: IntArray, classes: int) -> FloatArray:
    """(N, K+1): the score on the label, the rest on the background."""
    probs = np.zeros((len(scores), classes + 1), dtype=np.float32)
    probs[np.arange(len(scores)), labels] = scores
    probs[:, -1] = 1 - scores
    return probs


def _stated(clip: FoundClip, rows: Sequence[Row], kept: Sequence[str]) -> FloatArray:
    """(N, K+1) of the file's ``probs``; the mass of classes not kept goes to the background."""
    own = clip.classes or ()
    count = len(own)
    for row in rows:
        if row.probs is None or len(row.probs) not in (count, count + 1):
            why = f"probs: {len(row.probs or ())} numbers for {count} classes"
            hint = "One for each category in order, and the background's last (or left out)."
            raise FormatError(clip.path, row.where, why, hint=hint)
        if min(row.probs) < 0 or sum(row.probs) > 1 + _SUM_TOLERANCE:
            raise FormatError(clip.path, row.where, "probs: not a distribution")
        if len(row.probs) > count and sum(row.probs) < 1 - _SUM_TOLERANCE:
            raise FormatError(clip.path, row.where, "probs: do not sum to 1")
    wide = _column([list(row.probs or ())[:count] for row in rows], 2, count)
    probs = np.zeros((len(rows), len(kept) + 1), dtype=np.float64)
    index = {name: label for label, name in enumerate(kept)}
    for column, name in enumerate(own):
        label = index[name] if name in index else _alike(name, index)
        if label >= 0:
            probs[:, label] += wide[:, column]
    probs[:, -1] = np.maximum(0, 1 - probs[:, :-1].sum(axis=1))
    return (probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


def _table(
    clip: FoundClip,
    rows: Sequence[Row],
    scores: FloatArray,
    labels: IntArray,
    probs: FloatArray,
    width: int,
    skipped: Skipped,
) -> DetectedClip:
    number = np.array([row.number for row in rows], dtype=np.int64)
    with np.errstate(over="ignore"):
        boxes = _column([row.box for row in rows], 2, 4).astype(np.float32)
    keep = _proper(clip.path, rows, boxes, skipped)
    keep = keep[np.argsort(number[keep], kind="stable")]
    features = _column([row.features or () for row in rows], 2, width)
    return DetectedClip(
        names=clip.names,
        path=clip.path,
        named=clip.named,
        first=clip.first,
        by_image=clip.by_image,
        relative=clip.relative,
        listed=None if clip.listed is None else np.array(sorted(clip.listed), dtype=np.int64),
        size=clip.size,
        rate=clip.rate,
        length=clip.length,
        number=number[keep],
        boxes=boxes[keep],
        scores=scores[keep],
        labels=labels[keep],
        probs=probs[keep],
        features=np.clip(features[keep], -_HALF_LIMIT, _HALF_LIMIT).astype(np.float16),
    )


def _proper(path: Path, rows: Sequence[Row], boxes: FloatArray, skipped: Skipped) -> IntArray:
    """Rows whose boxes can be meant."""
    finite = np.asarray(np.isfinite(boxes).all(axis=1))
    with np.errstate(invalid="ignore"):
        upright = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    for at in np.flatnonzero(~(finite & upright)).tolist():
        why = "box is inverted or empty" if finite[at] else "box is not finite"
        skipped.add(path, rows[at].where, why)
    return np.flatnonzero(finite & upright)
