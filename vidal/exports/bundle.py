"""What goes out: frames with their pictures and boxes, whatever tool they are for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidal.formats._notes import Notes, RowNote
from vidal.types import (
    Annotations,
    BoolArray,
    FloatArray,
    FrameRef,
    IntArray,
    LabelledClip,
)

Part = str
"""Where a frame goes in a training set: ``train``, ``val`` or ``test``; empty = there are none."""

NAMELESS = "unknown"
"""The label of objects that are of none of the classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """The boxes of one frame.

    Attributes:
        boxes: (n, 4) float32 xyxy in pixels.
        labels: (n,) int64, positions in the bundle's classes; -1 = of none of them.
        track: (n,) int64; -1 = none.
        ignore: (n,) bool, regions that count neither as object nor as background.
        notes: what is said of each; empty where nothing is said (labels that people made).
    """

    boxes: FloatArray
    labels: IntArray
    track: IntArray
    ignore: BoolArray
    notes: tuple[RowNote, ...] = ()

    def __len__(self) -> int:
        return len(self.boxes)

    @staticmethod
    def of(
        boxes: Sequence[Sequence[float]], labels: Sequence[int], notes: Sequence[RowNote]
    ) -> Boxes:
        """Proposals: boxes without tracks."""
        n = len(labels)
        return Boxes(
            np.asarray(boxes, np.float32).reshape(n, 4),
            np.asarray(labels, np.int64),
            np.full(n, -1, np.int64),
            np.zeros(n, np.bool_),
            tuple(notes),
        )

    @staticmethod
    def labelled(table: Annotations, index: int) -> Boxes:
        """What people said of a frame."""
        rows = table.on(index)
        return Boxes(
            table.boxes[rows], table.labels[rows], table.track[rows], table.ignore[rows], ()
        )


NO_BOXES = Boxes.of([], [], [])


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """A clip that frames are of.

    Attributes:
        id: of the clip.
        stem: what stands for it in the names of pictures.
        written: its path as the frame map states it.
        path: the file or folder; need not be there.
        frames: its length, or the last frame that is known plus one.
        size: (height, width).
        rate: frames a second, where known.
        part: of the training set.
    """

    id: str
    stem: str
    written: str
    path: Path
    frames: int
    size: tuple[int, int]
    rate: Fraction | None = None
    part: Part = ""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame that goes out.

    Attributes:
        ref: clip and ordinal.
        name: of its picture, without folders.
        picture: the JPEG file; None = the clip has no pixels.
        sha256: of that file, hex; empty = none.
        print: fingerprint of the decoded frame, hex; empty = not known.
        pts, time_base, seconds: when it is shown; ``seconds`` since the clip's first frame.
        rank: among the picks, from 1; 0 = it was not picked.
        score: NaN = none.
        reason: in words.
        boxes: what is proposed, or what people said.
        answered: people said it.
        of: a neighbour that is only shown: the pick that it is shown with.
    """

    ref: FrameRef
    name: str
    picture: Path | None
    sha256: str = ""
    print: str = ""
    pts: int = 0
    time_base: Fraction = Fraction(1)
    seconds: float = 0.0
    rank: int = 0
    score: float = float("nan")
    reason: str = ""
    boxes: Boxes = NO_BOXES
    answered: bool = False
    of: FrameRef | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Everything that one export holds.

    Attributes:
        title: of the archive, a file name without suffix.
        classes: label -> name.
        clips: by id.
        shots: the frames, in the order of clips and ordinals.
        context: neighbours that are only shown.
        judged: boxes are proposals with notes; else labels.
        unknown: the label of objects outside the classes; None = they are left out.
        tracks: clip id -> proposals on all of its frames, for tasks that show whole clips.
        notes: remarks for the user, one sentence each.
    """

    title: str
    classes: tuple[str, ...]
    clips: Mapping[str, ClipFacts]
    shots: tuple[Shot, ...]
    context: tuple[Shot, ...] = ()
    judged: bool = True
    unknown: str | None = NAMELESS
    tracks: Mapping[str, tuple[Annotations, Sequence[RowNote]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """The labels that a tool is told: the classes, then that of unknown objects."""
        more = [] if self.unknown is None or self.unknown in self.classes else [self.unknown]
        return [*self.classes, *more]

    @property
    def boxes(self) -> int:
        """How many go out with the frames."""
        return sum(len(shot.boxes) for shot in self.shots)

    def name(self, ref: FrameRef) -> str:
        """Of a frame's picture, in any folder."""
        return f"{self.clips[ref.clip].stem}_{ref.index:06d}.jpg"

    def saying(self, *notes: str) -> Bundle:
        """With more remarks."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note)))


def tables(
    bundle: Bundle, shots: Iterable[Shot] | None = None
) -> tuple[list[LabelledClip], Notes | None]:
    """The frames as labelled clips, and what is said of their boxes; None where nothing is.

    Args:
        bundle: what goes out.
        shots: of these frames only; None = all.
    """
    grouped: dict[str, list[Shot]] = {}
    for shot in bundle.shots if shots is None else shots:
        grouped.setdefault(shot.ref.clip, []).append(shot)
    clips: list[LabelledClip] = []
    notes: dict[str, list[RowNote]] = {}
    for name, found in grouped.items():
        facts = bundle.clips[name]
        table = table_of(sorted(found, key=lambda shot: shot.ref.index), facts, bundle.classes)
        clips.append(LabelledClip(name, table, size=facts.size, rate=facts.rate))
        if bundle.judged:
            notes[name] = [
                note
                for shot in sorted(found, key=lambda shot: shot.ref.index)
                for note in notes_of(shot)
            ]
    return clips, notes if bundle.judged else None


def notes_of(shot: Shot) -> tuple[RowNote, ...]:
    """What is said of each box of a frame, also where nothing is."""
    return shot.boxes.notes or (RowNote(),) * len(shot.boxes)


def table_of(
    shots: Sequence[Shot],
    facts: ClipFacts,
    classes: tuple[str, ...],
    *,
    at: Sequence[int] | None = None,
) -> Annotations:
    """One table of the frames of a clip.

    Args:
        shots: of one clip, by ordinal.
        facts: the clip.
        classes: label -> name.
        at: frames of the table that they stand on; None = their ordinals.
    """
    places = [shot.ref.index for shot in shots] if at is None else list(at)
    frames = facts.frames if at is None else len(shots)
    labelled = np.zeros(frames, np.bool_)
    labelled[places] = True
    counts = [len(shot.boxes) for shot in shots]
    empty = NO_BOXES

    def column(name: str) -> np.ndarray:
        return np.concatenate(
            [getattr(empty, name), *(getattr(shot.boxes, name) for shot in shots)]
        )

    return Annotations(
        classes=classes,
        labelled=labelled,
        frame=np.repeat(np.asarray(places, np.int64), counts),
        boxes=column("boxes"),
        labels=column("labels"),
        track=column("track"),
        ignore=column("ignore"),
    )
