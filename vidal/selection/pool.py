"""From sums by frame, and from boxes where a strategy needs them, to one pool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.evidence.objects import corrected
from vidal.evidence.summary import SummaryOptions, summed
from vidal.expected_errors import fuse, fuse_with
from vidal.selection.boxes import EMBEDDING, BoxSide
from vidal.selection.clip_frames import ClipFrames
from vidal.selection.expecting import Expectation
from vidal.selection.parts import PoolClip
from vidal.selection.stored import Sums, field_of
from vidal.types import Annotations, BoolArray, Deferred, FloatArray, Pool

__all__ = ["FrameEvidence", "PoolClip", "build_pool", "fields_for", "pool_of"]

_VERDICTS = [1, 3]
"""Of the signals: what temporal coherence calls false, and missed."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameEvidence:
    """What is known of the N frames of C clips, one row a frame.

    Attributes:
        frames: the clips.
        selectable, labelled: (N,) bool.
        sums: the fields of summaries that ``fields_for`` names; what is used is taken out, because
            it is large.
        expected: what a model expects.
        learned: (C,) bool, whether a model told anything of the clip.
        prior: (C,) float32, weight of the shipped prior in it.
        looks: (F, E) embedding of the selectable frames; None = not needed.
        beside: (L, E) that of the labelled ones.
    """

    frames: ClipFrames
    selectable: BoolArray
    labelled: BoolArray
    sums: Sums
    expected: Expectation
    learned: BoolArray
    prior: FloatArray
    looks: FloatArray | Deferred | None = None
    beside: FloatArray | None = None

    def some(self, values: NDArray[Any]) -> NDArray[Any]:
        """Those of (N, ...) values that are of selectable frames."""
        return values if self.selectable.all() else values[self.selectable]

    def by_clip(self, values: NDArray[Any]) -> NDArray[Any]:
        """(F,) the values of clips, (C,), for each of their selectable frames."""
        return self.some(np.repeat(values, np.diff(self.frames.starts)))


def fields_for(needs: frozenset[str], *, ranks: bool) -> set[str]:
    """The fields of ``FrameSummary`` that a pool with these columns reads.

    Args:
        needs: as a strategy states them.
        ranks: whether a model puts frames in order by itself.
    """
    by_need = {
        "errors": {"signals"},
        "class_mass": {"class_mass"},
        "detections": {"by_class"},
        "expected_objects": {"mass" if ranks else "objects"},
        "expected": set() if ranks else {"signals"},
        "told": set() if ranks else {"signals"},
    }
    return {name for need in needs & set(by_need) for name in by_need[need]}


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
        clips: with their tables in hand; those of a store are read by ``stored_pool``.
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
    parts = list(clips)
    side = BoxSide(classes, needs, threshold, truth)
    for part in parts:
        side.add(part)
    expected = _in_hand(parts)
    options = SummaryOptions(threshold, floor)
    sums: Sums = {}
    for name in fields_for(needs, ranks=expected.ranks):
        each = (_summed(part, name, len(classes), options) for part in parts)
        sums[name] = np.concatenate([field_of(name, 0, len(classes)), *each])
    selectable, labelled = _mask(p.selectable for p in parts), _mask(p.labelled for p in parts)
    looks = beside = None
    if EMBEDDING in needs and parts:
        every = np.concatenate([_embedding(part) for part in parts])
        looks, beside = every[selectable], every[labelled]
    told = [part.expected is not None or part.told is not None for part in parts]
    evidence = FrameEvidence(
        ClipFrames.of([part.clip for part in parts]),
        selectable,
        labelled,
        sums,
        expected,
        np.array(told, np.bool_),
        np.array([part.prior for part in parts], np.float32),
        looks,
        beside,
    )
    return pool_of(evidence, side, classes, needs)


def pool_of(
    evidence: FrameEvidence, side: BoxSide, classes: tuple[str, ...], needs: frozenset[str]
) -> Pool:
    """The pool of the selectable frames.

    Args:
        evidence: of all frames; its sums are used up.
        side: what is known of boxes, of all clips that it wants.
        classes, needs: as for ``build_pool``.
    """
    beside = {} if evidence.beside is None else {EMBEDDING: evidence.beside}
    return Pool(
        frames=evidence.frames.frame_set(evidence.selectable),
        classes=classes,
        labelled=evidence.frames.frame_set(evidence.labelled),
        columns={**_columns(evidence, needs), **side.columns()},
        regions=side.regions(),
        items=side.items(),
        labelled_columns={**side.labelled_columns(), **beside},
    )


def _columns(evidence: FrameEvidence, needs: frozenset[str]) -> dict[str, Any]:
    sums, columns = evidence.sums, _expected_columns(evidence, needs)
    if "detections" in needs:
        number = sums.pop("by_class").sum(axis=1, dtype=np.int64)
        columns["detections"] = evidence.some(number)
    if "class_mass" in needs:
        columns["class_mass"] = evidence.some(sums.pop("class_mass"))
    if "learned" in needs:
        columns["learned"] = evidence.by_clip(evidence.learned)
    if "prior" in needs:
        columns["prior"] = evidence.by_clip(evidence.prior)
    if evidence.looks is not None:
        columns[EMBEDDING] = evidence.looks
    return columns


def _expected_columns(evidence: FrameEvidence, needs: frozenset[str]) -> dict[str, Any]:
    """What is expected of frames: errors, and the objects that follow."""
    sums, model = evidence.sums, evidence.expected
    columns: dict[str, Any] = {}
    told = model.counts if model.told is None else model.told
    told = None if told is None else evidence.some(told)
    if "expected_objects" in needs and not model.ranks:
        columns["expected_objects"] = evidence.some(sums.pop("objects"))
    elif "expected_objects" in needs:
        assert told is not None
        columns["expected_objects"] = corrected(evidence.some(sums.pop("mass")), told)
    signals = evidence.some(sums.pop("signals")) if "signals" in sums else None
    if "errors" in needs:
        assert signals is not None
        columns["errors"] = np.ascontiguousarray(signals[..., _VERDICTS])
    wanted = needs & {"expected", "told"}
    if wanted and model.ranks:
        assert model.counts is not None
        columns |= {"expected": evidence.some(model.counts), "told": told}
    elif wanted:
        assert signals is not None
        fused = fuse(signals) if told is None else fuse_with(signals, told)
        columns |= {"expected": fused, "told": fused if told is None else told}
    return {name: values for name, values in columns.items() if name in needs}


def _in_hand(parts: Sequence[PoolClip]) -> Expectation:
    """What comes with the clips."""
    counts = [part.expected for part in parts if part.expected is not None]
    told = [p.expected if p.told is None else p.told for p in parts]
    known = [each for each in told if each is not None]
    if not known:
        return Expectation()
    ranks = bool(counts)
    both = np.concatenate(known)
    return Expectation(np.concatenate(counts) if ranks else both, both, ranks)


def _summed(part: PoolClip, name: str, classes: int, options: SummaryOptions) -> NDArray[Any]:
    if part.detections is None:
        return field_of(name, part.clip.frames, classes)
    return summed(name, part.detections, part.estimate, options)


def _mask(parts: Iterable[BoolArray]) -> BoolArray:
    return np.concatenate([np.zeros(0, np.bool_), *parts])


def _embedding(part: PoolClip) -> FloatArray:
    if part.detections is None:
        return np.zeros((part.clip.frames, 0), np.float32)
    return part.detections.embedding
