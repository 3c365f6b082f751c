"""What is in a clip's frames: one row a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.types.arrays import (
    UNKNOWN,
    BoolArray,
    FloatArray,
    HalfArray,
    IntArray,
    frozen,
    set_fields,
)


class Rows:
    """What tables with one row a box share: lookup of a frame's rows, row filters, equality."""

    __slots__ = ()
    frame: IntArray

    def __len__(self) -> int:
        return len(self.frame)

    def on(self, index: int) -> slice:
        """The rows of one frame (rows are sorted by frame)."""
        first, last = np.searchsorted(self.frame, (index, index + 1))
        return slice(int(first), int(last))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = [(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)]  # type: ignore[arg-type]
        return all(
            np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
            for mine, theirs in pairs
        )

    __hash__ = None  # type: ignore[assignment]


def _check_frames(frame: IntArray, length: int) -> None:
    if len(frame) and (frame[0] < 0 or frame[-1] >= length or (np.diff(frame) < 0).any()):
        raise ValueError(f"frame: not sorted within 0..{length - 1}")


def _check_boxes(boxes: FloatArray) -> None:
    if len(boxes) and not (boxes[:, 2:] > boxes[:, :2]).all():
        raise ValueError("boxes: x2 <= x1 or y2 <= y1")


@dataclass(frozen=True, slots=True, eq=False)
class Detections(Rows):
    """All detections of one clip.

    Attributes:
        classes: the K class names that ``labels`` index.
        scanned: (F,) bool; tells "found nothing" from "never looked".
        frame: (N,) int64, sorted; zero-based frame index.
        boxes: (N, 4) float32 xyxy.
        scores: (N,) float32 in [0, 1].
        labels: (N,) int64 in 0..K-1.
        probs: (N, K+1) float32, the class distribution; background is the last column.
        features: (N, D) float16 ROI features; D may be 0.
        embedding: (F, E) float32, one per frame, zero where not scanned; E may be 0.
        suppressed: (N,) int64, how many boxes of the detector, itself included, each one stands for
            (those that it suppressed); (0,) where the detector does not tell.
    """

    classes: tuple[str, ...]
    scanned: BoolArray
    frame: IntArray
    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    probs: FloatArray
    features: HalfArray
    embedding: FloatArray
    suppressed: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        classes = tuple(self.classes)
        n, f, k = len(self.frame), len(self.scanned), len(classes)
        set_fields(
            self,
            classes=classes,
            scanned=frozen(self.scanned, np.bool_, (None,), "scanned"),
            frame=frozen(self.frame, np.int64, (None,), "frame"),
            boxes=frozen(self.boxes, np.float32, (n, 4), "boxes"),
            scores=frozen(self.scores, np.float32, (n,), "scores"),
            labels=frozen(self.labels, np.int64, (n,), "labels"),
            probs=frozen(self.probs, np.float32, (n, k + 1), "probs"),
            features=frozen(self.features, np.float16, (n, None), "features"),
            embedding=frozen(self.embedding, np.float32, (f, None), "embedding"),
            suppressed=frozen(self.suppressed, np.int64, (None,), "suppressed"),
        )
        if len(self.suppressed) not in (0, n):
            raise ValueError(f"suppressed: expected {n} rows, got {len(self.suppressed)}")
        _check_frames(self.frame, f)
        _check_boxes(self.boxes)
        if n and not self.scanned[self.frame].all():
            raise ValueError("frame: detections on frames that were not scanned")
        if n and not ((self.labels >= 0) & (self.labels < k)).all():
            raise ValueError(f"labels: outside 0..{k - 1}")
        if n and not ((self.scores >= 0) & (self.scores <= 1)).all():
            raise ValueError("scores: outside [0, 1]")

    @property
    def frames(self) -> int:
        """Length of the clip."""
        return len(self.scanned)

    def keep(self, rows: BoolArray | IntArray) -> Detections:
        """The table with these rows only (a mask, or increasing row numbers)."""
        names = ("frame", "boxes", "scores", "labels", "probs", "features")
        told = ("suppressed",) if len(self.suppressed) else ()
        return replace(self, **{name: getattr(self, name)[rows] for name in (*names, *told)})

    @staticmethod
    def gather(
        parts: Sequence[Detections],
        indices: Sequence[int],
        *,
        frames: int,
        classes: tuple[str, ...],
        width: tuple[int, int] = (0, 0),
    ) -> Detections:
        """One clip's table from the tables of consecutive batches.

        Args:
            parts: tables whose ``frame`` counts positions in the batch.
            indices: the frame index of every batch position, all batches in a row, increasing.
            frames: length of the clip.
            classes: class names (needed where ``parts`` is empty).
            width: (D, E) of features and embedding, used where ``parts`` is empty.
        """
        where = np.asarray(indices, dtype=np.int64)
        starts = np.cumsum([0] + [part.frames for part in parts])
        d, e = (parts[0].features.shape[1], parts[0].embedding.shape[1]) if parts else width
        scanned = np.zeros(frames, dtype=np.bool_)
        embedding = np.zeros((frames, e), dtype=np.float32)
        scanned[where] = True
        if parts:
            embedding[where] = np.concatenate([part.embedding for part in parts])

        def column(name: str, empty: tuple[int, ...], dtype: Any) -> NDArray[Any]:
            if not parts:
                return np.zeros(empty, dtype=dtype)
            return np.concatenate([getattr(part, name) for part in parts])

        frame = [where[part.frame + start] for part, start in zip(parts, starts, strict=False)]
        told = all(len(part.suppressed) == len(part) for part in parts)
        return Detections(
            classes=classes,
            scanned=scanned,
            frame=np.concatenate(frame) if frame else np.zeros(0, np.int64),
            boxes=column("boxes", (0, 4), np.float32),
            scores=column("scores", (0,), np.float32),
            labels=column("labels", (0,), np.int64),
            probs=column("probs", (0, len(classes) + 1), np.float32),
            features=column("features", (0, d), np.float16),
            embedding=embedding,
            suppressed=column("suppressed", (0,), np.int64) if told else np.zeros(0, np.int64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Annotations(Rows):
    """What is known to be in one clip's frames.

    Attributes:
        classes: the K class names.
        labelled: (F,) bool; "annotated and empty" is labelled without rows.
        frame: (N,) int64, sorted.
        boxes: (N, 4) float32 xyxy.
        labels: (N,) int64 in 0..K-1, or -1: an object outside the K classes.
        track: (N,) int64 identity within the clip, -1 where there is none.
        ignore: (N,) bool: regions that evaluation leaves out.
    """

    classes: tuple[str, ...]
    labelled: BoolArray
    frame: IntArray
    boxes: FloatArray
    labels: IntArray
    track: IntArray
    ignore: BoolArray

    def __post_init__(self) -> None:
        classes = tuple(self.classes)
        n = len(self.frame)
        set_fields(
            self,
            classes=classes,
            labelled=frozen(self.labelled, np.bool_, (None,), "labelled"),
            frame=frozen(self.frame, np.int64, (None,), "frame"),
            boxes=frozen(self.boxes, np.float32, (n, 4), "boxes"),
            labels=frozen(self.labels, np.int64, (n,), "labels"),
            track=frozen(self.track, np.int64, (n,), "track"),
            ignore=frozen(self.ignore, np.bool_, (n,), "ignore"),
        )
        _check_frames(self.frame, len(self.labelled))
        _check_boxes(self.boxes)
        if n and not self.labelled[self.frame].all():
            raise ValueError("frame: boxes on frames that are not labelled")
        if n and not ((self.labels >= UNKNOWN) & (self.labels < len(classes))).all():
            raise ValueError(f"labels: outside -1..{len(classes) - 1}")

    @property
    def frames(self) -> int:
        """Length of the clip."""
        return len(self.labelled)

    def keep(self, rows: BoolArray | IntArray) -> Annotations:
        """The table with these rows only (a mask, or increasing row numbers)."""
        per_row = ("frame", "boxes", "labels", "track", "ignore")
        return replace(self, **{name: getattr(self, name)[rows] for name in per_row})


@dataclass(frozen=True, slots=True, eq=False)
class LabelledClip:
    """One clip as a data set or an annotation file describes it.

    Attributes:
        name: the data set's own name of the clip: its path below the root, without suffix.
        annotations: one table; its length is the number of frames the source states.
        files: image files relative to the root, one a frame; empty where the clip is a video file.
        path: the video file or the folder of images, where the source states one.
        size: (height, width), where stated.
        rate: frames a second, where stated.
        refused: frames of which an annotator said that they are not to be annotated.
    """

    name: str
    annotations: Annotations
    files: tuple[str, ...] = ()
    path: Path | None = None
    size: tuple[int, int] | None = None
    rate: Fraction | None = None
    refused: tuple[int, ...] = ()


@dataclass(slots=True)
class Skipped:
    """Collects what a reader left out, so that nothing is dropped in silence.

    Attributes:
        entries: (path, where in it, why), in the order met.
    """

    entries: list[tuple[Path, str, str]] = field(default_factory=list)

    def add(self, path: Path | str, where: str, why: str) -> None:
        """Note one thing that was left out."""
        self.entries.append((Path(path), where, why))

    def __len__(self) -> int:
        return len(self.entries)
