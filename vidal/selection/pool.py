"""From the evidence of many clips to one pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.evaluate.matching import match_clip
from vidal.evaluate.true_errors import true_errors
from vidal.evidence.objects import expected_objects
from vidal.expected_errors import SIGNALS, fuse, fuse_with, signals
from vidal.selection.labelled import LabelledSide
from vidal.types import (
    Annotations,
    BoolArray,
    Clip,
    Detections,
    ErrorEstimate,
    FrameSet,
    Pool,
    Regions,
)


@dataclass(frozen=True, slots=True, eq=False)
class PoolClip:
    """One clip's contribution to the pool.

    Attributes:
        clip: the clip.
        selectable: (F,) bool, decoded and not labelled.
        labelled: (F,) bool.
        detections: its table, or None where no detector ran.
        estimate: verdicts (``rows`` of ``detections``), or None.
        expected: (F, K, 2) float32, false positives and misses that a model learned to expect; None
            where no model may put frames in order by itself: then ``told``, if it is there, is
            fused with the fixed signals. Either all clips of a pool have it, or none.
        told: the same, right in sum, for people to read; None = ``expected``.
        prior: the largest weight, in [0, 1], of the shipped prior in what is expected.
        annotations: what was annotated on its labelled frames, or None.
        row_columns: more arrays with one row a detection, see ``Regions.columns``.
    """

    clip: Clip
    selectable: BoolArray
    labelled: BoolArray
    detections: Detections | None
    estimate: ErrorEstimate | None
    expected: NDArray[np.float32] | None = None
    told: NDArray[np.float32] | None = None
    prior: float = 0.0
    annotations: Annotations | None = None
    row_columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def build_pool(
    clips: Iterable[PoolClip],
    *,
    classes: tuple[str, ...],
    needs: frozenset[str],
    threshold: float,
    floor: float = 0.05,
    truth: Mapping[str, Annotations] | None = None,
) -> Pool:
    """The pool of all selectable frames, with the columns that are needed and no others.

    Args:
        clips: read one at a time.
        classes: the detector's classes.
        needs: as a strategy states them: pool columns, ``regions``, ``features``, ``labelled``
            (what was annotated so far; with ``features`` of the detections there, too).
        threshold: detections with a higher score become regions.
        floor: lowest score of the weak detections in the fixed fusion of ``expected``.
        truth: clip id -> annotations of all its frames, for the oracles of a simulation and for
            nobody else: gives the column ``truth_errors`` (F, K, 2), true false positives and
            false negatives of the detections above the threshold. Without it there is no such
            column, whatever ``needs`` says.
    """
    parts = _Parts(classes, needs, threshold, floor, truth)
    for clip in clips:
        parts.add(clip)
    return parts.pool()


class _Parts:
    """Collects columns clip by clip."""

    def __init__(
        self,
        classes: tuple[str, ...],
        needs: frozenset[str],
        threshold: float,
        floor: float,
        truth: Mapping[str, Annotations] | None,
    ) -> None:
        self._classes = classes
        self._threshold = threshold
        self._floor = floor
        self._truth = {} if truth is None else truth
        self._regions_wanted = bool(needs & {"regions", "features"})
        self._features_wanted = "features" in needs
        self._needs = needs
        self._side = LabelledSide(classes, needs, threshold)
        makers: dict[str, Callable[[PoolClip], NDArray[Any]]] = {
            "errors": self._errors,
            "embedding": _embedding,
            "class_mass": self._class_mass,
            "detections": self._number,
            "expected_objects": self._expected_objects,
            "expected": self._expected,
            "told": self._told,
            "learned": _learned,
            "prior": _prior,
        }
        if truth is not None:
            makers["truth_errors"] = self._truth_errors
        self._makers = {name: make for name, make in makers.items() if name in needs}
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in self._makers}
        self._clips: list[str] = []
        self._frames: list[NDArray[np.int64]] = []
        self._labelled: list[NDArray[np.int64]] = []
        self._sizes: list[tuple[int, int]] = []
        self._times: list[tuple[NDArray[np.int64], Fraction]] = []
        self._regions: list[Regions] = []
        self._size = 0

    def add(self, part: PoolClip) -> None:
        """One clip more."""
        frames = np.flatnonzero(part.selectable)
        self._clips.append(part.clip.id)
        self._frames.append(frames)
        self._labelled.append(np.flatnonzero(part.labelled))
        self._sizes.append(part.clip.size)
        self._times.append((part.clip.pts, part.clip.time_base))
        for name, make in self._makers.items():
            self._columns[name].append(make(part)[frames])
        self._side.add(part.detections, part.annotations, part.labelled)
        if self._regions_wanted and part.detections is not None:
            self._regions.append(self._regions_of(part, part.detections))
        self._size += len(frames)

    def pool(self) -> Pool:
        """All of it."""
        columns = {name: np.concatenate(parts) for name, parts in self._columns.items() if parts}
        for name in ("expected", "told"):
            if name in columns:
                columns[name] = _fused(columns[name])
        return Pool(
            frames=self._frame_set(self._frames),
            classes=self._classes,
            labelled=self._frame_set(self._labelled),
            columns=columns,
            regions=_joined(self._regions, len(self._classes)) if self._regions_wanted else None,
            items=self._side.items(),
            labelled_columns=self._side.columns(),
        )

    def _frame_set(self, parts: Sequence[NDArray[np.int64]]) -> FrameSet:
        lengths = [len(part) for part in parts]
        return FrameSet(
            clips=tuple(self._clips),
            clip=np.repeat(np.arange(len(parts), dtype=np.int64), lengths),
            index=np.concatenate(parts) if parts else np.zeros(0, np.int64),
            pts=_joined_times(
                [pts[part] for (pts, _), part in zip(self._times, parts, strict=True)]
            ),
            time_bases=tuple(tick for _, tick in self._times),
            sizes=tuple(self._sizes),
        )

    def _errors(self, part: PoolClip) -> NDArray[Any]:
        shape = (part.clip.frames, len(self._classes))
        estimate, detections = part.estimate, part.detections
        if estimate is None or detections is None:
            return np.zeros((*shape, 2), np.float32)
        false, missed = estimate.rows[estimate.false_positive], estimate.missed
        places = (
            (detections.frame[false], detections.labels[false]),
            (estimate.missed_frame[missed], estimate.missed_label[missed]),
        )
        cells = [np.ravel_multi_index(place, shape) for place in places]
        counts = [np.bincount(cell, minlength=shape[0] * shape[1]) for cell in cells]
        return np.stack(counts, axis=-1).reshape(*shape, 2).astype(np.float32)

    def _expected(self, part: PoolClip) -> NDArray[Any]:
        """(F, K, 2) by the model, or (F, K, 4) signals, which only the whole pool can fuse.

        (F, K, 6) where a prior's counts, the last two, are fused with them.
        """
        if part.expected is not None:
            return part.expected
        if part.detections is None:
            width = len(SIGNALS) + (0 if part.told is None else 2)
            return np.zeros((part.clip.frames, len(self._classes), width), np.float32)
        values = signals(
            part.detections, part.estimate, threshold=self._threshold, floor=self._floor
        )
        return values if part.told is None else np.concatenate([values, part.told], axis=2)

    def _told(self, part: PoolClip) -> NDArray[Any]:
        return self._expected(part) if part.told is None else part.told

    def _truth_errors(self, part: PoolClip) -> NDArray[Any]:
        truth = self._truth.get(part.clip.id)
        if truth is None or part.detections is None:
            return np.zeros((part.clip.frames, len(self._classes), 2), np.int64)
        match = match_clip(part.detections, truth, score_floor=self._threshold)
        return true_errors(match).per_class

    def _number(self, part: PoolClip) -> NDArray[Any]:
        """(F,) detections above the threshold."""
        if part.detections is None:
            return np.zeros(part.clip.frames, np.int64)
        use = part.detections.scores > self._threshold
        return np.bincount(part.detections.frame[use], minlength=part.clip.frames)

    def _class_mass(self, part: PoolClip) -> NDArray[Any]:
        mass = np.zeros((part.clip.frames, len(self._classes)), np.float32)
        if part.detections is not None:
            rows = np.flatnonzero(part.detections.scores > self._threshold)
            np.add.at(mass, part.detections.frame[rows], part.detections.probs[rows, :-1])
        return mass

    def _expected_objects(self, part: PoolClip) -> NDArray[Any]:
        return expected_objects(
            part.detections,
            (part.clip.frames, len(self._classes)),
            threshold=self._threshold,
            told=None if part.expected is None else self._told(part),
            estimate=part.estimate,
        )

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
            features=features if self._features_wanted else features[:, :0],
            columns={name: values[rows] for name, values in more.items()},
        )


def _fused(values: NDArray[Any]) -> NDArray[Any]:
    """What ``_expected`` gives, of the whole pool, as (F, K, 2)."""
    count = len(SIGNALS)
    if values.shape[2] == count:
        return fuse(values)
    return (
        fuse_with(values[..., :count], values[..., count:]) if values.shape[2] > count else values
    )


def _joined_times(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _verdict(estimate: ErrorEstimate, rows: int) -> NDArray[Any]:
    """(N,) float32: 1 for the detections that temporal coherence calls false."""
    false = np.zeros(rows, np.float32)
    false[estimate.rows[estimate.false_positive]] = 1
    return false


def _learned(part: PoolClip) -> NDArray[Any]:
    return np.full(part.clip.frames, part.expected is not None or part.told is not None)


def _prior(part: PoolClip) -> NDArray[Any]:
    return np.full(part.clip.frames, part.prior, np.float32)


def _embedding(part: PoolClip) -> NDArray[Any]:
    if part.detections is None:
        return np.zeros((part.clip.frames, 0), np.float32)
    return part.detections.embedding


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
