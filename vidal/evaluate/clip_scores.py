"""What average precision needs of every test clip, kept, so that clips can be drawn again later."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidal.errors import InputError
from vidal.evaluate.average_precision import ScoredDetections
from vidal.store.atomic import write_bytes
from vidal.store.tables import from_arrays, to_arrays
from vidal.types import BoolArray, IntArray, ScoreArray

_AT_ONCE = 1 << 15
"""Numbers in a table of hits by draws; more do not fit into a core's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipScores:
    """The judged detections of a model, clip by clip.

    Attributes:
        clips: ids of the C test clips, in the order of ``scored``.
        tags: of each clip, the conditions that it shows (``night``); may be none.
        scored: scores and verdicts, one row a judged detection, and the objects of each clip.
    """

    clips: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    scored: ScoredDetections

    def __post_init__(self) -> None:
        if not len(self.clips) == len(self.tags) == len(self.scored.n_truth):
            raise ValueError(
                f"clips: {len(self.clips)} ids, {len(self.tags)} with tags,"
                f" {len(self.scored.n_truth)} that were judged"
            )

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of all tags, in alphabetical order."""
        return tuple(sorted({tag for tags in self.tags for tag in tags}))

    def under(self, condition: str) -> BoolArray:
        """(C,) bool: the clips of a tag."""
        return np.array([condition in tags for tags in self.tags], dtype=np.bool_)

    def class_aps(self, weights: IntArray | BoolArray) -> ScoreArray:
        """(D, K) AP50 of every class, of D multisets of clips; NaN where one has no objects.

        As ``ScoredDetections.average_precisions`` of each multiset, all at once: only at a true
        positive can the area grow, so precision is looked at there only. Of equal scores in two
        clips the earlier clip's comes first, whatever the draw.

        Args:
            weights: (D, C) how often each clip is in each multiset, >= 0.

        Raises:
            ValueError: another number of clips.
        """
        drawn = np.asarray(weights, dtype=np.float64).T
        if drawn.ndim != 2 or len(drawn) != len(self.clips):
            raise ValueError(f"weights: {drawn.T.shape}, of {len(self.clips)} clips")
        totals = self.scored.n_truth.T.astype(np.float64) @ drawn
        columns = [_areas(part, drawn) for part in self._ranked()]
        areas = np.stack(columns) if columns else np.zeros_like(totals)
        with np.errstate(invalid="ignore"):
            return np.where(totals > 0, areas / totals, np.nan).T

    def ap50(self, weights: IntArray | BoolArray | None = None) -> ScoreArray:
        """(D,) mean of ``class_aps`` over the classes that have objects; NaN where none has.

        Args:
            weights: (D, C) as there; None = every clip once, D = 1.
        """
        whole = np.ones((1, len(self.clips)), np.int64) if weights is None else weights
        return mean_known(self.class_aps(whole))

    def by_condition(self) -> dict[str, float | None]:
        """AP50 on the clips of each tag; None where they have no objects."""
        values = {name: float(self.ap50(self.under(name)[None])[0]) for name in self.conditions}
        return {name: None if np.isnan(value) else value for name, value in values.items()}

    def _ranked(self) -> Iterator[tuple[IntArray, BoolArray]]:
        """Clip and verdict of the rows of each class, in descending score."""
        table = self.scored
        for label in range(len(table.classes)):
            mine = np.flatnonzero(table.labels == label)
            order = mine[np.argsort(-table.scores[mine].astype(np.float64), kind="stable")]
            yield table.clip[order], table.true_positive[order]


def _areas(ranked: tuple[IntArray, BoolArray], drawn: NDArray[np.float64]) -> ScoreArray:
    """(D,) area under the precision envelope times the number of objects, of (C, D) weights.

    Along true positives with no false one between them precision never falls, so that their
    envelope is that of the last of them: only these ends are looked at.
    """
    clip, right = ranked
    ends = np.flatnonzero(right & ~np.append(right[1:], False))
    of_clip = clip[:, None] == np.arange(len(drawn))
    every = np.cumsum(of_clip, axis=0, dtype=np.float64)[ends]
    true = np.cumsum(of_clip & right[:, None], axis=0, dtype=np.float64)[ends]
    areas = [_area(every, true, part) for part in _pieces(drawn, _AT_ONCE // (len(ends) + 1))]
    return np.concatenate(areas) if areas else np.zeros(drawn.shape[1])


def _area(
    every: NDArray[np.float64], true: NDArray[np.float64], drawn: NDArray[np.float64]
) -> ScoreArray:
    rows, found = every @ drawn, true @ drawn
    precision = np.divide(found, rows, out=np.zeros_like(rows), where=rows > 0)
    np.maximum.accumulate(precision[::-1], axis=0, out=precision[::-1])
    return np.einsum("td,td->d", precision, np.diff(found, axis=0, prepend=0.0))


def _pieces(drawn: NDArray[np.float64], size: int) -> Iterator[NDArray[np.float64]]:
    step = max(size, 16)
    for start in range(0, drawn.shape[1], step):
        yield np.ascontiguousarray(drawn[:, start : start + step])


def mean_known(values: ScoreArray) -> ScoreArray:
    """(D,) mean of (D, K) over what is not NaN; NaN where all are."""
    known = ~np.isnan(values)
    number = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(sums, number, out=np.full(len(values), np.nan), where=number > 0)


def tagged(
    clips: tuple[str, ...], tags: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, ...], ...]:
    """The tags of each clip; none for a clip that the mapping does not name."""
    return tuple(tuple(tags.get(name, ())) for name in clips)


def write_clip_scores(path: Path, scores: ClipScores) -> None:
    """Write them as one npz file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    stream = io.BytesIO()
    arrays = to_arrays(scores)
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_bytes(path, stream.getvalue())


def read_clip_scores(path: Path) -> ClipScores | None:
    """What ``write_clip_scores`` wrote; None where there is no such file.

    Raises:
        InputError: it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return from_arrays(ClipScores, {name: file[name] for name in file.files})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(
            path,
            f"damaged: {error}",
            hint="Remove it: intervals will rest on the seeds alone where it is missing.",
        ) from error
