"""COCO's numbers as pycocotools, the reference implementation, computes them on our tables."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vidal.types import UNKNOWN, Annotations, Detections

SUMMARY = (
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR1",
    "AR10",
    "AR100",
    "AR_small",
    "AR_medium",
    "AR_large",
)
"""The twelve numbers, in pycocotools' order."""


def coco_ap(
    pairs: Iterable[tuple[Detections, Annotations]], *, classes: Sequence[str]
) -> dict[str, float | None]:
    """COCO's twelve numbers over all labelled and scanned frames; None where there are no objects.

    Objects outside the K classes are left out; ``ignore`` rows of a class become its crowd
    regions, ``ignore`` rows without a class become crowd regions of every class.

    Raises:
        ImportError: pycocotools is not installed.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, results = coco_tables(pairs, classes=classes)
    # pycocotools reports its progress on standard output, which belongs to the caller.
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = truth
        ground.createIndex()
        found = COCO()
        found.dataset = {**truth, "annotations": results}
        found.createIndex()
        evaluation = COCOeval(ground, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = np.asarray(evaluation.stats, dtype=np.float64)
    return {
        name: float(value) if value >= 0 else None
        for name, value in zip(SUMMARY, values, strict=True)
    }


def coco_tables(
    pairs: Iterable[tuple[Detections, Annotations]], *, classes: Sequence[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO data set and its results: one image a labelled and scanned frame, ids from 1."""
    names = tuple(classes)
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for detections, truth in pairs:
        if detections.classes != names or truth.classes != names:
            raise ValueError(f"classes: expected {names}")
        known = np.flatnonzero(truth.labelled & detections.scanned)
        ids = np.full(truth.frames, -1, dtype=np.int64)
        ids[known] = len(images) + 1 + np.arange(len(known))
        images += [{"id": int(i)} for i in ids[known]]
        for row in np.flatnonzero(ids[truth.frame] > 0):
            label, crowd = int(truth.labels[row]), bool(truth.ignore[row])
            every = range(len(names)) if crowd else ()
            for k in every if label == UNKNOWN else (label,):
                box = _entry(len(objects) + 1, ids[truth.frame[row]], truth.boxes[row], k)
                objects.append({**box, "iscrowd": int(crowd)})
        for row in np.flatnonzero(ids[detections.frame] > 0):
            image, box = ids[detections.frame[row]], detections.boxes[row]
            entry = _entry(len(results) + 1, image, box, int(detections.labels[row]))
            results.append({**entry, "iscrowd": 0, "score": float(detections.scores[row])})
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(names)]
    return {"images": images, "annotations": objects, "categories": categories}, results


def _entry(number: int, image: np.int64, box: Any, label: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return {
        "id": number,
        "image_id": int(image),
        "category_id": label + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
    }
