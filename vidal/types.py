"""Every noun that crosses a wall between rooms: frozen tables of NumPy arrays.

One table per clip, not one object per frame or box. Arrays are checked once, where a table is
built, and are read-only from then on. Boxes are float32 ``xyxy`` in pixels of the decoded frame,
0-based and half-open (width = x2 - x1). Three index spaces, three words: ``index`` (frame of a
clip), ``row`` (of a table), ``pos`` (of a pool).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
HalfArray = NDArray[np.float16]
ScoreArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]

UNKNOWN = -1
"""The label of an object that was seen and belongs to none of the target classes."""


def frozen(array: Any, dtype: Any, shape: tuple[int | None, ...], name: str) -> NDArray[Any]:
    """A read-only array of that dtype and shape (``None`` = any length).

    Raises:
        ValueError: the shape differs, or a float array holds NaN or infinity.
    """
    result = np.ascontiguousarray(array, dtype=dtype)
    if result.ndim != len(shape) or any(
        want is not None and want != have for want, have in zip(shape, result.shape, strict=True)
    ):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(f"{name}: expected shape ({wanted}), got {result.shape}")
    if result.dtype.kind == "f" and not np.isfinite(result).all():
        raise ValueError(f"{name}: holds NaN or infinite values")
    if result is array or result.base is not None:
        result = result.copy() if result.flags.writeable else result
    result.flags.writeable = False
    return result


def _set(table: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(table, name, value)


@dataclass(frozen=True, slots=True, order=True)
class FrameRef:
    """One frame: clip id and zero-based presentation ordinal; prints ``clip@000123``."""

    clip: str
    index: int

    def __str__(self) -> str:
        return f"{self.clip}@{self.index:06d}"


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One video: a file, or a folder of numbered images.

    Attributes:
        id: name + content digest; the same on every machine.
        path: where it lies on this one.
        pts: (F,) int64, strictly increasing presentation times, in ticks of ``time_base``;
            for a folder of images the numbers in the file names.
        time_base: seconds a tick.
        rate: nominal frames a second.
        size: (height, width) in pixels, as displayed (after rotation).
        truncated: packets at the end that could not be decoded (0 for a whole clip).
        keyframes: (K,) int64, increasing indices of the frames where decoding can start; may be
            empty, then every frame is reached from the first one.
        reader: how frames are found: ``pts`` (by presentation time), ``order`` (by counting what
            is decoded, where a file has no usable times), ``opencv`` (counting, by OpenCV) or
            ``images`` (a folder of numbered images).
    """

    id: str
    path: Path
    pts: IntArray
    time_base: Fraction
    rate: Fraction
    size: tuple[int, int]
    truncated: int = 0
    keyframes: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    reader: str = "pts"

    def __post_init__(self) -> None:
        _set(
            self,
            pts=frozen(self.pts, np.int64, (None,), "pts"),
            keyframes=frozen(self.keyframes, np.int64, (None,), "keyframes"),
        )
        if len(self.pts) > 1 and not (np.diff(self.pts) > 0).all():
            raise ValueError("pts: not strictly increasing")
        if self.reader not in ("pts", "order", "opencv", "images"):
            raise ValueError(f"reader: {self.reader!r}")

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return len(self.pts)

    def seconds(self, index: int) -> float:
        """Time of a frame since the clip's first one, in seconds."""
        return float((int(self.pts[index]) - int(self.pts[0])) * self.time_base)


@dataclass(frozen=True, slots=True)
class SkippedClip:
    """An input that was not used, by name, with the cause in words."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded frame: ``image`` is RGB uint8 (H, W, 3)."""

    ref: FrameRef
    image: Image


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A training image with its boxes.

    Attributes:
        image: RGB uint8 (H, W, 3).
        boxes: (n, 4) float32 xyxy; none = a negative image.
        labels: (n,) int64 in 0..K-1, or -1 (unknown object).
        ignore: (n,) bool, regions that count neither as object nor as background.
    """

    image: Image
    boxes: FloatArray
    labels: IntArray
    ignore: BoolArray


class _Rows:
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
class Detections(_Rows):
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

    def __post_init__(self) -> None:
        classes = tuple(self.classes)
        n, f, k = len(self.frame), len(self.scanned), len(classes)
        _set(
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
        )
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
        per_row = ("frame", "boxes", "scores", "labels", "probs", "features")
        return replace(self, **{name: getattr(self, name)[rows] for name in per_row})

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
        )


@dataclass(frozen=True, slots=True, eq=False)
class Annotations(_Rows):
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
        _set(
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
class Carried(_Rows):
    """Detections carried by a tracker to neighbouring frames.

    Attributes:
        origin: (P,) int64, row of the detection.
        frame: (P,) int64, sorted: the frame it was carried to.
        boxes: (P, 4) float32, where it is expected there, not clipped to the image.
        trust: (P,) float32 in [0, 1], the tracker's own confidence.
    """

    origin: IntArray
    frame: IntArray
    boxes: FloatArray
    trust: FloatArray

    def __post_init__(self) -> None:
        n = len(self.frame)
        _set(
            self,
            origin=frozen(self.origin, np.int64, (n,), "origin"),
            frame=frozen(self.frame, np.int64, (None,), "frame"),
            boxes=frozen(self.boxes, np.float32, (n, 4), "boxes"),
            trust=frozen(self.trust, np.float32, (n,), "trust"),
        )
        if n and (np.diff(self.frame) < 0).any():
            raise ValueError("frame: not sorted")


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Pairs of detections of different frames that a tracker joins.

    Attributes:
        src, dst: (E,) int64 rows of one ``Detections``, ``frame[src] < frame[dst]``, no pair twice.
        affinity: (E,) float32, the larger overlap of the two directions.
        carried: the boxes that linking was based on.
        used: (P,) bool, carried boxes that overlap a detection of their frame.
    """

    src: IntArray
    dst: IntArray
    affinity: FloatArray
    carried: Carried
    used: BoolArray

    def __post_init__(self) -> None:
        e = len(self.src)
        _set(
            self,
            src=frozen(self.src, np.int64, (None,), "src"),
            dst=frozen(self.dst, np.int64, (e,), "dst"),
            affinity=frozen(self.affinity, np.float32, (e,), "affinity"),
            used=frozen(self.used, np.bool_, (len(self.carried),), "used"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ErrorEstimate:
    """Which detections of a clip are judged false, and where objects were missed.

    Attributes:
        rows: (N,) int64, the judged rows of the clip's ``Detections`` (those above the threshold).
        false_positive: (N,) bool verdict for each.
        false_positive_confidence: (N,) float32 in [0, 1], 1 = surely false.
        missed_frame: (M,) int64, sorted, of every candidate.
        missed_boxes: (M, 4) float32.
        missed_label: (M,) int64.
        missed: (M,) bool verdict for each candidate.
        missed_confidence: (M,) float32 in [0, 1], 1 = surely a missed object.
        energy: value of the minimised energy.
        link_share: share of judged detections with at least one link, in [0, 1]; 1 for none judged.
    """

    rows: IntArray
    false_positive: BoolArray
    false_positive_confidence: FloatArray
    missed_frame: IntArray
    missed_boxes: FloatArray
    missed_label: IntArray
    missed: BoolArray
    missed_confidence: FloatArray
    energy: float
    link_share: float

    def __post_init__(self) -> None:
        n, m = len(self.rows), len(self.missed_frame)
        _set(
            self,
            rows=frozen(self.rows, np.int64, (None,), "rows"),
            false_positive=frozen(self.false_positive, np.bool_, (n,), "false_positive"),
            false_positive_confidence=frozen(
                self.false_positive_confidence, np.float32, (n,), "false_positive_confidence"
            ),
            missed_frame=frozen(self.missed_frame, np.int64, (None,), "missed_frame"),
            missed_boxes=frozen(self.missed_boxes, np.float32, (m, 4), "missed_boxes"),
            missed_label=frozen(self.missed_label, np.int64, (m,), "missed_label"),
            missed=frozen(self.missed, np.bool_, (m,), "missed"),
            missed_confidence=frozen(self.missed_confidence, np.float32, (m,), "missed_confidence"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The detections of all frames of a pool in a row.

    Attributes:
        pos: (N,) int64, sorted: the frame's position in the pool.
        boxes, scores, labels, probs, features: as in ``Detections``.
    """

    pos: IntArray
    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    probs: FloatArray
    features: HalfArray

    def __post_init__(self) -> None:
        n = len(self.pos)
        _set(
            self,
            pos=frozen(self.pos, np.int64, (None,), "pos"),
            boxes=frozen(self.boxes, np.float32, (n, 4), "boxes"),
            scores=frozen(self.scores, np.float32, (n,), "scores"),
            labels=frozen(self.labels, np.int64, (n,), "labels"),
            probs=frozen(self.probs, np.float32, (n, None), "probs"),
            features=frozen(self.features, np.float16, (n, None), "features"),
        )

    def __len__(self) -> int:
        return len(self.pos)


@dataclass(frozen=True, slots=True, eq=False)
class FrameSet:
    """Frames of several clips as two integers each.

    Attributes:
        clips: ids of the clips.
        clip: (F,) int64, position of the frame's clip in ``clips``.
        index: (F,) int64, the frame's index in its clip.
    """

    clips: tuple[str, ...]
    clip: IntArray
    index: IntArray

    def __post_init__(self) -> None:
        n = len(self.clip)
        _set(
            self,
            clips=tuple(self.clips),
            clip=frozen(self.clip, np.int64, (None,), "clip"),
            index=frozen(self.index, np.int64, (n,), "index"),
        )
        if n and not ((self.clip >= 0) & (self.clip < len(self.clips))).all():
            raise ValueError(f"clip: outside 0..{len(self.clips) - 1}")

    def __len__(self) -> int:
        return len(self.clip)

    def ref(self, pos: int) -> FrameRef:
        """The frame at a position."""
        return FrameRef(self.clips[int(self.clip[pos])], int(self.index[pos]))


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The frames that may still be queried, with their evidence.

    Attributes:
        frames: the F frames, sorted by clip, then index; no frame twice.
        classes: the K class names.
        columns: named arrays of length F. ``errors`` (F, K, 2) float32: estimated false positives
            and false negatives per class; ``embedding`` (F, E) float32; ``class_mass`` (F, K)
            float32: summed class probabilities of the detections.
        regions: the detections above the threshold, where a strategy needs them.
        labelled: frames that are labelled already (same ``clips``); no frame of the pool.
    """

    frames: FrameSet
    classes: tuple[str, ...]
    labelled: FrameSet
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    regions: Regions | None = None

    def __post_init__(self) -> None:
        if self.labelled.clips != self.frames.clips:
            raise ValueError("labelled: other clips than the pool's")
        for name, values in self.columns.items():
            if len(values) != len(self.frames):
                raise ValueError(f"{name}: expected {len(self.frames)} rows, got {len(values)}")
        _set(self, classes=tuple(self.classes), columns=MappingProxyType(dict(self.columns)))

    def __len__(self) -> int:
        return len(self.frames)

    def column(self, name: str) -> NDArray[Any]:
        """A column by name.

        Raises:
            KeyError: the pool was built without it (a strategy did not state it in ``needs``).
        """
        return self.columns[name]

    def with_columns(self, **columns: NDArray[Any]) -> Self:
        """The same pool with more columns."""
        return replace(self, columns={**self.columns, **columns})


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why frames were chosen.

    Attributes:
        words: one sentence for each frame.
        parts: named parts of the score, (n,) each.
    """

    words: tuple[str, ...]
    parts: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The ordered frames of one round.

    Attributes:
        round: number of the round, from 0.
        frames: unique; at most ``budget`` of them; the most wanted first.
        scores: (n,) float64; NaN where the strategy does not score.
        explanation: a reason and the parts of the score, for each frame.
        budget: how many frames were asked for.
    """

    round: int
    frames: tuple[FrameRef, ...]
    scores: ScoreArray
    explanation: Explanation
    budget: int

    def __post_init__(self) -> None:
        n = len(self.frames)
        if len(set(self.frames)) != n:
            raise ValueError("frames: a frame twice")
        if n > self.budget:
            raise ValueError(f"frames: {n}, more than the budget of {self.budget}")
        if len(self.scores) != n or len(self.explanation.words) != n:
            raise ValueError(f"scores and reasons: expected {n}")

    def __len__(self) -> int:
        return len(self.frames)


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
    """

    name: str
    annotations: Annotations
    files: tuple[str, ...] = ()
    path: Path | None = None
    size: tuple[int, int] | None = None
    rate: Fraction | None = None


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
