"""What a pool has of single boxes, where it is needed: regions, the labelled side, true errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.evaluate.matching import match_clip
from vidal.evaluate.true_errors import true_errors
from vidal.selection.labelled import LabelledSide
from vidal.selection.parts import PoolClip
from vidal.types import Annotations, Detections, ErrorEstimate, Items, Regions

EMBEDDING, TRUTH = "embedding", "truth_errors"


class BoxSide:
    """Collects clip by clip what cannot be read from sums by frame.

    Attributes:
        regions_wanted: whether detections of all clips are needed.
        truth_wanted: whether their true errors are.
        labels_wanted: whether detections of clips with labelled frames are.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        needs: frozenset[str],
        threshold: float,
        truth: Mapping[str, Annotations] | None,
    ) -> None:
        """Args: as of ``build_pool``."""
        self._classes, self._needs, self._threshold = classes, needs, threshold
        self._truth = truth
        self.regions_wanted = bool(needs & {"regions", "features"})
        self.truth_wanted = truth is not None and TRUTH in needs
        self.labels_wanted = "labelled" in needs
        self._side = LabelledSide(classes, needs - {EMBEDDING}, threshold)
        self._regions: list[Regions] = []
        self._errors: list[NDArray[Any]] = []
        self._size = 0

    def wants(self, part: PoolClip) -> bool:
        """Whether a clip's detections have anything to say."""
        labels = self.labels_wanted and bool(part.labelled.any())
        return self.regions_wanted or self.truth_wanted or labels

    def add(self, part: PoolClip) -> None:
        """One clip more."""
        if self.labels_wanted:
            self._side.add(part.detections, part.annotations, part.labelled)
        if self.regions_wanted and part.detections is not None:
            self._regions.append(self._regions_of(part, part.detections))
        if self.truth_wanted:
            self._errors.append(self._true_errors(part)[part.selectable])
        self._size += int(np.count_nonzero(part.selectable))

    def regions(self) -> Regions | None:
        """All of them in a row; None where no strategy needs them."""
        return _joined(self._regions, len(self._classes)) if self.regions_wanted else None

    def items(self) -> Items | None:
        """What was annotated; None where no strategy needs it."""
        return self._side.items()

    def columns(self) -> dict[str, NDArray[Any]]:
        """Of the selectable frames."""
        if not self.truth_wanted:
            return {}
        none = np.zeros((0, len(self._classes), 2), np.int64)
        return {TRUTH: np.concatenate([none, *self._errors])}

    def labelled_columns(self) -> dict[str, NDArray[Any]]:
        """Of the labelled frames."""
        return self._side.columns()

    def _true_errors(self, part: PoolClip) -> NDArray[Any]:
        truth = (self._truth or {}).get(part.clip.id)
        if truth is None or part.detections is None:
            return np.zeros((part.clip.frames, len(self._classes), 2), np.int64)
        match = match_clip(part.detections, truth, score_floor=self._threshold)
        return true_errors(match).per_class

    def _regions_of(self, part: PoolClip, detections: Detections) -> Regions:
        selectable = part.selectable
        rows = np.flatnonzero((detections.scores > self._threshold) & selectable[detections.frame])
        known = {"suppressed": detections.suppressed, **part.row_columns}
        if "verdict" in self._needs and part.estimate is not None:
            known["verdict"] = _verdict(part.estimate, len(detections))
        more = {
            name: known[name]
            for name in sorted(self._needs & set(known))
            if len(known[name]) == len(detections)
        }
        position = np.cumsum(selectable) - 1 + self._size
        features = detections.features[rows]
        return Regions(
            pos=position[detections.frame[rows]],
            boxes=detections.boxes[rows],
            scores=detections.scores[rows],
            labels=detections.labels[rows],
            probs=detections.probs[rows],
            features=features if "features" in self._needs else features[:, :0],
            columns={name: values[rows] for name, values in more.items()},
        )


def _verdict(estimate: ErrorEstimate, rows: int) -> NDArray[Any]:
    """(N,) float32: 1 for the detections that temporal coherence calls false."""
    false = np.zeros(rows, np.float32)
    false[estimate.rows[estimate.false_positive]] = 1
    return false


def _joined(parts: Sequence[Regions], classes: int) -> Regions:
    def column(name: str, empty: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        if not parts:
            return np.zeros(empty, dtype)
        return np.concatenate([getattr(part, name) for part in parts])

    return Regions(
        pos=column("pos", (0,), np.int64),
        boxes=column("boxes", (0, 4), np.float32),
        scores=column("scores", (0,), np.float32),
        labels=column("labels", (0,), np.int64),
        probs=column("probs", (0, classes + 1), np.float32),
        features=column("features", (0, 0), np.float16),
        columns=_joined_columns(parts),
    )


def _joined_columns(parts: Sequence[Regions]) -> dict[str, NDArray[Any]]:
    """Those that every clip with detections has."""
    filled = [part for part in parts if len(part)] or list(parts[:1])
    names = set.intersection(*(set(part.columns) for part in filled)) if filled else set()
    return {name: np.concatenate([part.columns[name] for part in filled]) for name in sorted(names)}
