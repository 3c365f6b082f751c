"""Average precision: the Pascal area, the COCO 101 points, and reports over many clips.

Two numbers that must never be mixed: **AP50** with a low score floor, and **AP50@0.5**, where
detections with a score <= 0.5 are thrown away first, as Zolfaghari Bengar et al. 2019 report it;
that truncates recall and hence AP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vidal.evaluate.matching import Rule, UnknownObjects, match_clip
from vidal.types import (
    Annotations,
    BoolArray,
    Detections,
    FloatArray,
    IntArray,
    ScoreArray,
    frozen,
)

Interpolation = Literal["area", "coco"]

CONFIDENT = 0.5
"""The score above which a detection counts in AP50@0.5."""

COCO_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""The ten IoU thresholds that COCO's AP averages over."""


def average_precision(
    scores: FloatArray | ScoreArray,
    true_positive: BoolArray,
    n_truth: int,
    *,
    interpolation: Interpolation = "area",
) -> float:
    """Average precision of one class, in [0, 1]; equal scores keep their order.

    Args:
        scores: (N,) of the detections, ignored ones left out.
        true_positive: (N,) bool.
        n_truth: how many objects there are.
        interpolation: "area" = the whole area under the monotone precision envelope (Pascal VOC
            since 2010); "coco" = mean of the envelope at recall 0, 0.01, ..., 1.

    Returns:
        The value; NaN where there are no objects.

    Raises:
        ValueError: more true positives than objects.
    """
    if n_truth == 0:
        return float("nan")
    if np.count_nonzero(true_positive) > n_truth:
        raise ValueError(f"true_positive: more than the {n_truth} objects")
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    hits = np.cumsum(np.asarray(true_positive)[order], dtype=np.float64)
    recall = hits / n_truth
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if interpolation == "area":
        return float(np.sum(np.diff(recall, prepend=0.0) * envelope))
    at = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.append(envelope, 0.0)[at].mean())


@dataclass(frozen=True, slots=True, eq=False)
class ScoredDetections:
    """What average precision needs of many clips: no boxes, one row a judged detection.

    Attributes:
        classes: the K class names.
        clip: (N,) int64: which clip, in the order they came.
        scores: (N,) float32.
        labels: (N,) int64.
        true_positive: (N,) bool; ignored detections are not in the table.
        n_truth: (clips, K) int64: counted objects.
    """

    classes: tuple[str, ...]
    clip: IntArray
    scores: FloatArray
    labels: IntArray
    true_positive: BoolArray
    n_truth: IntArray

    def __post_init__(self) -> None:
        n = len(self.clip)
        for name, dtype in (("scores", np.float32), ("labels", np.int64), ("clip", np.int64)):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype, (n,), name))

    def average_precisions(
        self,
        *,
        above: float | None = None,
        interpolation: Interpolation = "area",
        clips: IntArray | None = None,
    ) -> ScoreArray:
        """(K,) AP per class; NaN for a class without objects.

        Args:
            above: only detections with a score strictly above it.
            interpolation: as in ``average_precision``.
            clips: positions of clips to use, with repetition (a bootstrap sample); None = all.
        """
        rows = np.arange(len(self.clip))
        if clips is not None:
            ends = np.searchsorted(self.clip, np.arange(len(self.n_truth) + 1))
            rows = np.concatenate([rows[:0], *(rows[ends[c] : ends[c + 1]] for c in clips)])
        if above is not None:
            rows = rows[self.scores[rows] > above]
        totals = (self.n_truth if clips is None else self.n_truth[clips]).sum(axis=0)
        result = np.full(len(self.classes), np.nan)
        for label, total in enumerate(totals):
            mine = rows[self.labels[rows] == label]
            result[label] = average_precision(
                self.scores[mine],
                self.true_positive[mine],
                int(total),
                interpolation=interpolation,
            )
        return result


def score_detections(
    pairs: Iterable[tuple[Detections, Annotations]],
    *,
    classes: Sequence[str],
    score_floor: float | None = 0.05,
    iou: float = 0.5,
    rule: Rule = "pascal",
    unknown: UnknownObjects = "false_positive",
) -> ScoredDetections:
    """Match clip after clip; keeps scores and flags only, so clips may stream.

    Raises:
        ValueError: a clip has other classes.
    """
    names = tuple(classes)
    parts: list[tuple[NDArray[Any], ...]] = []
    counts: list[IntArray] = []
    for number, (detections, truth) in enumerate(pairs):
        if truth.classes != names:
            raise ValueError(f"clip {number}: classes {truth.classes}, expected {names}")
        match = match_clip(
            detections, truth, threshold=iou, rule=rule, score_floor=score_floor, unknown=unknown
        )
        rows = np.flatnonzero(match.judged & ~match.ignored)
        columns = (detections.scores, detections.labels, match.true_positive)
        parts.append((np.full(len(rows), number), *(column[rows] for column in columns)))
        counts.append(np.bincount(truth.labels[match.counted], minlength=len(names)))

    def joined(column: int, dtype: Any) -> NDArray[Any]:
        return np.concatenate([np.zeros(0, dtype), *(part[column] for part in parts)])

    return ScoredDetections(
        classes=names,
        clip=joined(0, np.int64),
        scores=joined(1, np.float32),
        labels=joined(2, np.int64),
        true_positive=joined(3, np.bool_),
        n_truth=np.array(counts, dtype=np.int64).reshape(len(counts), len(names)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class DetectionReport:
    """Quality of a detector on a set of clips.

    Attributes:
        classes: the K class names.
        iou: IoU threshold.
        score_floor: floor of ``ap50``.
        ap50: (K,) float64, all-point AP; NaN for a class without objects.
        ap50_confident: (K,) float64, AP50@0.5: only scores above 0.5.
        objects: (K,) int64: counted objects.
        true_positives, false_positives: (K,) int64, of detections with a score above 0.5.
        clips: how many clips were judged.
    """

    classes: tuple[str, ...]
    iou: float
    score_floor: float
    ap50: ScoreArray
    ap50_confident: ScoreArray
    objects: IntArray
    true_positives: IntArray
    false_positives: IntArray
    clips: int

    @property
    def map50(self) -> float:
        """Mean AP50 over the classes that have objects; NaN where none has."""
        return _mean(self.ap50)

    @property
    def map50_confident(self) -> float:
        """Mean AP50@0.5 over the classes that have objects; NaN where none has."""
        return _mean(self.ap50_confident)

    def as_dict(self) -> dict[str, Any]:
        """JSON values; null where there is no number."""
        rows = {
            name: {
                "ap50": _number(self.ap50[k]),
                "ap50_at_0.5": _number(self.ap50_confident[k]),
                "objects": int(self.objects[k]),
                "true_positives": int(self.true_positives[k]),
                "false_positives": int(self.false_positives[k]),
            }
            for k, name in enumerate(self.classes)
        }
        return {
            "map50": _number(self.map50),
            "map50_at_0.5": _number(self.map50_confident),
            "iou": self.iou,
            "score_floor": self.score_floor,
            "clips": self.clips,
            "classes": rows,
        }


def evaluate_detections(
    pairs: Iterable[tuple[Detections, Annotations]],
    *,
    classes: Sequence[str],
    score_floor: float = 0.05,
    iou: float = 0.5,
    unknown: UnknownObjects = "false_positive",
) -> DetectionReport:
    """AP50 and AP50@0.5 over clips, by the Pascal rule; classes without objects are left out.

    Args:
        pairs: detections and annotations, clip by clip; read once.
        classes: the K class names of both tables.
        score_floor: detections with a score <= this are not judged at all.
        iou: the threshold.
        unknown: as in ``match_clip``.

    Raises:
        ValueError: a clip has other classes or lengths.
    """
    scored = score_detections(
        pairs, classes=classes, score_floor=score_floor, iou=iou, unknown=unknown
    )
    return report_of(scored, score_floor=score_floor, iou=iou)


def report_of(scored: ScoredDetections, *, score_floor: float, iou: float) -> DetectionReport:
    """AP50 and AP50@0.5 of detections that were judged with this floor and threshold."""
    sure = scored.scores > CONFIDENT
    hits = scored.labels[sure & scored.true_positive]
    wrong = scored.labels[sure & ~scored.true_positive]
    k = len(scored.classes)
    return DetectionReport(
        classes=scored.classes,
        iou=iou,
        score_floor=score_floor,
        ap50=scored.average_precisions(),
        ap50_confident=scored.average_precisions(above=CONFIDENT),
        objects=scored.n_truth.sum(axis=0),
        true_positives=np.bincount(hits, minlength=k),
        false_positives=np.bincount(wrong, minlength=k),
        clips=len(scored.n_truth),
    )


def coco_average_precisions(
    pairs: Sequence[tuple[Detections, Annotations]],
    *,
    classes: Sequence[str],
    thresholds: Sequence[float] = COCO_THRESHOLDS,
) -> ScoreArray:
    """(T, K) AP by COCO's definition, at each IoU threshold; NaN for a class without objects.

    All scores, all object sizes, 100 detections a frame and class; ``ignore`` = COCO's crowd.
    The mean of the table over classes with objects is COCO's AP, its first row AP50.
    """
    rows = [
        score_detections(
            pairs, classes=classes, score_floor=None, iou=threshold, rule="coco"
        ).average_precisions(interpolation="coco")
        for threshold in thresholds
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(classes))


def _mean(values: ScoreArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
