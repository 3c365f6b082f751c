"""What a model expects of the frames of many clips: rows are read part by part, judged in large
batches, summed up by frame and forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidal.errors import EvidenceLost
from vidal.evidence.gathered import Gathered
from vidal.evidence.places import store_at
from vidal.expected_errors import ErrorModel, Totals
from vidal.expected_errors.prior import shipped_prior
from vidal.expected_errors.smoothing import blend_clips
from vidal.selection.clip_frames import ClipFrames
from vidal.selection.doubts import Doubts
from vidal.selection.stored import Entries, Sums
from vidal.store import PLAIN, plain_fields
from vidal.types import BoolArray, FloatArray, IntArray

MOST_ROWS = 200_000
"""Rows of evidence that are held, and judged, together."""
_KINDS = ("detections", "candidates")
_AT_ONCE = 1 << 18

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What is expected of the N frames of C clips.

    Attributes:
        counts: (N, K, 2) float32, false positives and misses; None = nothing is expected.
        told: the same, right in sum, for people to read; None = ``counts``.
        ranks: whether ``counts`` put frames in order by themselves; else with the fixed signals.
        prior: the largest weight of the shipped prior in them, in [0, 1].
        false_alarm: number of an entry of evidence -> its rows of detections and (R,) P(false
            alarm) of them; empty unless it was asked for.
    """

    counts: FloatArray | None = None
    told: FloatArray | None = None
    ranks: bool = False
    prior: float = 0.0
    false_alarm: Mapping[int, tuple[IntArray, FloatArray]] = field(default_factory=dict)


def prior_alone(model: ErrorModel | None) -> bool:
    """Whether a model is the prior that summaries were made with, and nothing else."""
    if model is None or model.prior is not shipped_prior().trees:
        return False
    return model.own_share == (0.0, 0.0)


def expect(
    gathered: Gathered,
    frames: ClipFrames,
    model: ErrorModel,
    *,
    classes: int,
    sums: Sums,
    totals: Totals | None,
    numbers: Mapping[str, int],
    ranks: bool,
    by_region: bool = False,
    doubts: Doubts | None = None,
) -> Expectation:
    """Ask a model of all frames.

    Args:
        gathered: where the rows of evidence lie; they are not read where the model is the prior
            alone, whose sums stand in the summaries.
        frames: the clips.
        model: what expects errors.
        classes: K.
        sums: of the summaries; ``prior`` and ``judgeable`` are taken out.
        totals: what makes counts of the model's sums; None = they are told as they are.
        numbers: clip id -> its number in what was judged.
        ranks: whether the model puts frames in order by itself.
        by_region: whether P(false alarm) of every detection is wanted, too.
        doubts: counts what the model says of boxes, where its rows are read.

    Raises:
        EvidenceLost: rows are not there, or damaged.
        ValueError: rows with other columns than the model was fitted to.
    """
    alarms: dict[int, tuple[IntArray, FloatArray]] = {}
    if "prior" in sums:
        counts, known = sums.pop("prior"), sums.pop("judgeable")
    else:
        counts = np.zeros((len(frames), classes, 2), np.float32)
        known = np.zeros(len(frames), np.bool_)
    if by_region or not prior_alone(model):
        entries = Entries.of(gathered, frames, "expected")
        if entries is None:
            return Expectation()
        _check(gathered, entries, model)
        for batch in _batches(gathered, entries):
            said = batch.ask(model)
            _add(batch, said, counts, known)
            if doubts is not None:
                batch.count(said, doubts, ranks)
            if by_region:
                alarms |= batch.alarms(said[0])
    settled, width = model.options.settled, model.options.width
    counts = blend_clips(counts, known, frames.starts, settled.blend, width)
    told = None if totals is None else _told(counts, totals, frames, numbers)
    return Expectation(counts, told, ranks, 1 - min(model.own_share), alarms)


def _check(gathered: Gathered, entries: Entries, model: ErrorModel) -> None:
    """All entries were gathered alike: one speaks for them."""
    for key in entries.keys[:1]:
        arrays = store_at(gathered.store).peek(key, (PLAIN,))
        if arrays is None:
            raise EvidenceLost
        if tuple(plain_fields(arrays)["columns"]) != model.judged.columns:
            raise ValueError("evidence with other columns than the model was fitted to")


def _told(
    counts: FloatArray, totals: Totals, frames: ClipFrames, numbers: Mapping[str, int]
) -> FloatArray:
    """(N, K, 2) with the level of each clip."""
    level = np.array([totals.level(numbers.get(clip.id)) for clip in frames.clips])
    clip = np.repeat(np.arange(len(level)), np.diff(frames.starts))
    told = np.empty_like(counts)
    for at in range(0, len(counts), _AT_ONCE):
        part = slice(at, at + _AT_ONCE)
        told[part] = totals.told_by(counts[part], level[clip[part]][:, None])
    return told


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Rows of several entries of evidence, whose frames lie one behind the other.

    Attributes:
        entries: all of them.
        numbers: of the entries that these are.
        arrays: of each of them.
    """

    entries: Entries
    numbers: Sequence[int]
    arrays: Sequence[Arrays]

    def frames(self) -> IntArray:
        """(B,) places, in the row of all clips, of the frames of the batch."""
        ends = ((self.entries.first[n], self.entries.last[n]) for n in self.numbers)
        return np.concatenate([np.arange(first, last) for first, last in ends])

    def rows(self, kind: str, name: str) -> NDArray[np.generic]:
        """A column of all rows of a kind; frames count within the batch."""
        parts = [arrays[f"{kind}.{name}"] for arrays in self.arrays]
        if name != "frame":
            return np.concatenate(parts)
        lengths = [int(self.entries.last[n] - self.entries.first[n]) for n in self.numbers]
        starts = np.cumsum([0, *lengths[:-1]])
        return np.concatenate([part + at for part, at in zip(parts, starts, strict=True)])

    def ask(self, model: ErrorModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """P(false positive) and P(missed object) of the rows."""
        first, second = (self.rows(kind, "evidence") for kind in _KINDS)
        return model.chances(first.astype(np.float32), second.astype(np.float32))

    def count(
        self,
        said: tuple[NDArray[np.float64], NDArray[np.float64]],
        doubts: Doubts,
        learned: bool,
    ) -> None:
        """Count what ``ask`` said of boxes."""
        (frame, label), (at, missed) = (
            [self.rows(kind, name).astype(np.int64) for name in ("frame", "labels")]
            for kind in _KINDS
        )
        boxes = self.rows("candidates", "boxes").astype(np.float32)
        found, gone = (frame, label, said[0]), (at, missed, said[1], boxes)
        doubts.add(self.frames(), found, gone, learned=learned)

    def alarms(self, chance: NDArray[np.float64]) -> dict[int, tuple[IntArray, FloatArray]]:
        """Number of an entry -> rows of detections and their P(false positive)."""
        lengths = [len(arrays["rows"]) for arrays in self.arrays]
        parts = np.split(chance.astype(np.float32), np.cumsum(lengths)[:-1])
        rows = (arrays["rows"].astype(np.int64) for arrays in self.arrays)
        return dict(zip(self.numbers, zip(rows, parts, strict=True), strict=True))


def _add(
    batch: _Batch,
    said: tuple[NDArray[np.float64], NDArray[np.float64]],
    counts: FloatArray,
    known: BoolArray,
) -> None:
    """Put sums of probabilities where their frames lie."""
    place, classes = batch.frames(), counts.shape[1]
    for number, (kind, values) in enumerate(zip(_KINDS, said, strict=True)):
        frame, labels = (batch.rows(kind, name).astype(np.int64) for name in ("frame", "labels"))
        sums = np.bincount(frame * classes + labels, values, minlength=len(place) * classes)
        counts[place, :, number] = sums.reshape(-1, classes)
        known[place[frame]] = True


def _batches(gathered: Gathered, entries: Entries) -> Iterator[_Batch]:
    """All entries, in batches of about ``MOST_ROWS`` rows.

    Raises:
        EvidenceLost: one is not there, or damaged.
    """
    names = [f"{kind}.{name}" for kind in _KINDS for name in ("frame", "labels", "evidence")]
    names.append("candidates.boxes")
    numbers: list[int] = []
    held: list[Arrays] = []
    rows = seen = 0
    for number, arrays in store_at(gathered.store).scan(entries.keys, (*names, "rows")):
        numbers.append(number)
        held.append(arrays)
        rows += sum(len(arrays[f"{kind}.frame"]) for kind in _KINDS)
        seen += 1
        if rows >= MOST_ROWS:
            yield _Batch(entries, numbers, held)
            numbers, held, rows = [], [], 0
    if numbers:
        yield _Batch(entries, numbers, held)
    if seen != len(entries):
        raise EvidenceLost
