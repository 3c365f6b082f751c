"""The labelled side of a pool: detections on labelled frames, and what was annotated there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.boxes import overlapping
from vidal.evaluate.matching import assign, overlaps
from vidal.types import (
    BACKGROUND,
    UNKNOWN,
    Annotations,
    BoolArray,
    Detections,
    IntArray,
    Items,
)

_IOU = 0.5
_COVERED = 0.5
"""Own area inside an ignore region above which a detection is left out; as in evaluation."""


def with_classes(table: Annotations, classes: tuple[str, ...]) -> Annotations:
    """The labels under other class names, whatever their case; of other classes -1."""
    if table.classes == classes:
        return table
    lookup = [class_at(name, classes) for name in table.classes]
    labels = np.array([*lookup, UNKNOWN], np.int64)[table.labels]
    return replace(table, classes=classes, labels=labels)


def labelled_items(
    detections: Detections,
    truth: Annotations,
    labelled: BoolArray,
    *,
    threshold: float,
    features: bool,
    columns: Mapping[str, NDArray[Any]] | None = None,
) -> Items:
    """The detections on a clip's labelled frames, with answers.

    A detection takes the object that it overlaps most, whatever the class of either (IoU > 0.5,
    each object once, the highest score first): its answer is that object's class. Detections in
    ignore regions are left out.

    Args:
        detections: of the clip.
        truth: annotations of the clip, under the detector's class names.
        labelled: (F,) bool, the frames that count.
        threshold: detections with a higher score count.
        features: whether items get features; else (M, 0).
        columns: name -> array with one row a detection; becomes ``Items.columns``, too.
    """
    use = np.flatnonzero((detections.scores > threshold) & labelled[detections.frame])
    table = detections.keep(use)
    matched, out = matched_objects(table, truth)
    answers = _answers(matched, truth, len(table.classes))
    rows = np.flatnonzero(~out)
    kept = table.features[rows] if features else table.features[rows, :0]
    more: dict[str, NDArray[Any]] = {"labels": table.labels[rows], "scores": table.scores[rows]}
    if len(table.suppressed) == len(table):
        more["suppressed"] = table.suppressed[rows]
    more |= {name: values[use][rows] for name, values in (columns or {}).items()}
    return Items(kept.astype(np.float32), table.probs[rows], answers[rows], more)


def class_at(name: str, classes: tuple[str, ...]) -> int:
    """The label of a class name; -1 = none of them.

    As it is written, else whatever its case and the blanks around it.
    """
    if name in classes:
        return classes.index(name)
    plain = name.strip().casefold()
    alike = [at for at, each in enumerate(classes) if each.strip().casefold() == plain]
    return alike[0] if len(alike) == 1 else UNKNOWN


class LabelledSide:
    """Collects the labelled side of a pool clip by clip; nothing where no strategy needs it."""

    def __init__(self, classes: tuple[str, ...], needs: frozenset[str], threshold: float) -> None:
        """
        Args:
            classes: the detector's.
            needs: of a strategy: ``labelled`` gives items and objects, with ``features`` of the
                items; ``embedding`` gives that of labelled frames.
            threshold: detections with a higher score become items.
        """
        self._classes = classes
        self._wanted = "labelled" in needs
        self._looks = "embedding" in needs
        self._features = "features" in needs
        self._threshold = threshold
        self._items: list[Items] = []
        self._objects: list[IntArray] = []
        self._embedding: list[NDArray[np.float32]] = []

    def add(
        self, detections: Detections | None, annotations: Annotations | None, labelled: BoolArray
    ) -> None:
        """One clip more; ``labelled`` (F,) bool says which frames count."""
        count, k = int(labelled.sum()), len(self._classes)
        if self._looks:
            none = np.zeros((count, 0), np.float32)
            found = none if detections is None else detections.embedding[labelled]
            self._embedding.append(found)
        if not self._wanted:
            return
        if annotations is None or detections is None or not count:
            self._objects.append(np.zeros((count, k), np.int64))
            return
        truth = with_classes(annotations, self._classes)
        self._objects.append(_objects(truth, labelled, k))
        self._items.append(
            labelled_items(
                detections,
                truth,
                labelled,
                threshold=self._threshold,
                features=self._features,
            )
        )

    def items(self) -> Items | None:
        """All of them in a row; None where nobody needs them."""
        return join_items(self._items, len(self._classes)) if self._wanted else None

    def columns(self) -> dict[str, NDArray[Any]]:
        """Named arrays with one row a labelled frame."""
        columns: dict[str, NDArray[Any]] = {}
        if self._wanted:
            none = np.zeros((0, len(self._classes)), np.int64)
            columns["objects"] = np.concatenate([none, *self._objects])
        if self._looks:
            width = max((each.shape[1] for each in self._embedding), default=0)
            parts = [each for each in self._embedding if len(each)]
            columns["embedding"] = np.concatenate([np.zeros((0, width), np.float32), *parts])
        return columns


def join_items(parts: Sequence[Items], classes: int) -> Items:
    """All of them in a row."""
    if not parts:
        none: NDArray[Any] = np.zeros((0, 0), np.float32)
        return Items(none, np.zeros((0, classes + 1), np.float32), np.zeros(0, np.int64))
    width = max(each.features.shape[1] for each in parts)
    features = [each.features for each in parts if len(each) or each.features.shape[1] == width]
    return Items(
        np.concatenate(features),
        np.concatenate([each.probs for each in parts]),
        np.concatenate([each.answers for each in parts]),
        _joined_columns(parts),
    )


def _joined_columns(parts: Sequence[Items]) -> dict[str, NDArray[Any]]:
    """Those that every clip with items has."""
    filled = [each for each in parts if len(each)] or list(parts[:1])
    names = set.intersection(*(set(each.columns) for each in filled))
    return {name: np.concatenate([each.columns[name] for each in filled]) for name in sorted(names)}


def matched_objects(table: Detections, truth: Annotations) -> tuple[IntArray, BoolArray]:
    """The object that each detection is on, whatever the class of either.

    A detection takes the object that it overlaps most (IoU > 0.5, each object once, the highest
    score first).

    Args:
        table: N detections.
        truth: annotations of the same clip.

    Returns:
        (N,) row of the object, -1 without one; and (N,) bool: it lies in an ignore region and on
        no object.
    """
    left, right, _ = overlapping((table.frame, table.boxes), (truth.frame, truth.boxes))
    iou, cover = overlaps(table.boxes[left], truth.boxes[right])
    regions = truth.ignore[right]
    near = (iou > _IOU) & ~regions
    place = np.empty(len(table), np.int64)
    place[np.argsort(-table.scores, kind="stable")] = np.arange(len(table))
    matched = assign(left[near], right[near], iou[near], priority=place, targets=len(truth))
    out = np.zeros(len(table), np.bool_)
    out[left[regions & ((cover > _COVERED) | (iou > _IOU))]] = True
    return matched, out & (matched < 0)


def _answers(matched: IntArray, truth: Annotations, classes: int) -> IntArray:
    """(N,) answers: as in ``Items``."""
    labels = np.where(truth.labels == UNKNOWN, classes, truth.labels)
    answers = np.full(len(matched), BACKGROUND, np.int64)
    answers[matched >= 0] = labels[matched[matched >= 0]]
    return answers


def _objects(truth: Annotations, labelled: BoolArray, classes: int) -> IntArray:
    rows = (truth.labels >= 0) & ~truth.ignore & labelled[truth.frame]
    place = np.cumsum(labelled) - 1
    cell = place[truth.frame[rows]] * classes + truth.labels[rows]
    count = int(labelled.sum())
    return np.bincount(cell, minlength=count * classes).reshape(count, classes).astype(np.int64)
