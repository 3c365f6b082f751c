"""Tables of windows: cut out of a clip's, and joined to the clip's again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.evidence.windows import Window
from vidal.expected_errors import Evidence
from vidal.expected_errors.features import Rows
from vidal.types import BoolArray, Carried, Detections, ErrorEstimate

WIDE = ("features", "embedding")
"""What a detector says beside its boxes."""


def bare(table: Detections) -> Detections:
    """Without features and embedding."""
    if not table.features.shape[1] and not table.embedding.shape[1]:
        return table
    features = np.zeros((len(table), 0), np.float16)
    return replace(table, features=features, embedding=np.zeros((table.frames, 0), np.float32))


def frames_of(table: Detections, window: Window) -> Detections:
    """The detections of some frames, counted from the first of them."""
    if window == Window(0, table.frames):
        return table
    low, high = np.searchsorted(table.frame, (window.start, window.stop))
    names = ("boxes", "scores", "labels", "probs", "features")
    told = ("suppressed",) if len(table.suppressed) else ()
    return replace(
        table,
        scanned=table.scanned[window.start : window.stop],
        embedding=table.embedding[window.start : window.stop],
        frame=table.frame[low:high] - window.start,
        **{name: getattr(table, name)[low:high] for name in (*names, *told)},
    )


def moved(table: Detections, by: int, scanned: BoolArray) -> Detections:
    """The table as part of a stretch: ``by`` frames later; ``scanned``: of the stretch."""
    embedding = np.zeros((len(scanned), 0), np.float32)
    return replace(table, frame=table.frame + by, scanned=scanned, embedding=embedding)


def join_detections(parts: Sequence[Detections]) -> Detections:
    """The tables of the windows of a clip, in order, as one."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(part.frames for part in parts)])[:-1]
    told = all(len(part.suppressed) == len(part) for part in parts)
    wide = {name: max(getattr(part, name).shape[1] for part in parts) for name in WIDE}

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    def filled(name: str) -> NDArray[Any]:
        """Windows in which nothing was looked at do not know how wide a row is."""
        each = (getattr(part, name) for part in parts)
        fit = [a if a.shape[1] else np.zeros((len(a), wide[name]), a.dtype) for a in each]
        return np.concatenate(fit)

    return Detections(
        classes=parts[0].classes,
        scanned=column("scanned"),
        frame=np.concatenate([p.frame + at for p, at in zip(parts, starts, strict=True)]),
        boxes=column("boxes"),
        scores=column("scores"),
        labels=column("labels"),
        probs=column("probs"),
        features=filled("features"),
        embedding=filled("embedding"),
        suppressed=column("suppressed") if told else np.zeros(0, np.int64),
    )


def join_estimates(
    parts: Sequence[ErrorEstimate], windows: Sequence[Window], rows: Sequence[int]
) -> ErrorEstimate:
    """The verdicts on the windows of a clip, in order, as one.

    Args:
        parts: of the windows.
        windows: of the clip.
        rows: of every window the row of the clip's table that its own begins with.
    """

    def column(name: str, starts: Iterator[int]) -> NDArray[Any]:
        pairs = zip(parts, starts, strict=True)
        return np.concatenate([getattr(part, name) + at for part, at in pairs])

    plain = ("false_positive", "false_positive_confidence", "missed_boxes", "missed_label")
    more = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*plain, "missed", "missed_confidence")
    }
    judged = sum(len(part.rows) for part in parts)
    linked = sum(round(part.link_share * len(part.rows)) for part in parts)
    return ErrorEstimate(
        rows=column("rows", iter(rows)),
        missed_frame=column("missed_frame", (window.start for window in windows)),
        energy=float(sum(part.energy for part in parts)),
        link_share=linked / judged if judged else 1.0,
        **more,
    )


def join_evidence(
    parts: Sequence[Evidence], windows: Sequence[Window], rows: Sequence[int]
) -> Evidence:
    """The rows of the windows of a clip, in order, as one; arguments as for ``join_estimates``."""
    columns = parts[0].columns

    def joined(kind: str) -> Rows:
        tables = [getattr(part, kind) for part in parts]
        frame = [t.frame + window.start for t, window in zip(tables, windows, strict=True)]
        boxes, labels, evidence = (
            np.concatenate([getattr(table, name) for table in tables])
            for name in ("boxes", "labels", "evidence")
        )
        return Rows(np.concatenate(frame), boxes, labels, evidence, columns)

    return Evidence(
        frames=sum(part.frames for part in parts),
        columns=columns,
        detections=joined("detections"),
        rows=np.concatenate([part.rows + at for part, at in zip(parts, rows, strict=True)]),
        candidates=joined("candidates"),
    )


def estimate_of(estimate: ErrorEstimate, frame: NDArray[np.int64], window: Window) -> ErrorEstimate:
    """The verdicts on some frames, counted from the first of them and of its detections.

    ``energy`` and ``link_share`` stay those of the whole.

    Args:
        estimate: on a clip or a part of it.
        frame: of its detections.
        window: the frames.
    """
    first, end = (int(row) for row in np.searchsorted(frame, (window.start, window.stop)))
    low, high = np.searchsorted(estimate.rows, (first, end))
    least, most = np.searchsorted(estimate.missed_frame, (window.start, window.stop))
    return replace(
        estimate,
        rows=estimate.rows[low:high] - first,
        false_positive=estimate.false_positive[low:high],
        false_positive_confidence=estimate.false_positive_confidence[low:high],
        missed_frame=estimate.missed_frame[least:most] - window.start,
        missed_boxes=estimate.missed_boxes[least:most],
        missed_label=estimate.missed_label[least:most],
        missed=estimate.missed[least:most],
        missed_confidence=estimate.missed_confidence[least:most],
    )


def evidence_of_frames(evidence: Evidence, frame: NDArray[np.int64], window: Window) -> Evidence:
    """The evidence of some frames, counted from the first of them; arguments as above."""
    first = int(np.searchsorted(frame, window.start))
    low, high = np.searchsorted(evidence.detections.frame, (window.start, window.stop))
    return Evidence(
        window.frames,
        evidence.columns,
        _rows_of(evidence.detections, window),
        evidence.rows[low:high] - first,
        _rows_of(evidence.candidates, window),
    )


def _rows_of(rows: Rows, window: Window) -> Rows:
    low, high = np.searchsorted(rows.frame, (window.start, window.stop))
    return Rows(
        rows.frame[low:high] - window.start,
        rows.boxes[low:high],
        rows.labels[low:high],
        rows.evidence[low:high],
        rows.columns,
    )


def carried_of_frames(carried: Carried, frame: NDArray[np.int64], window: Window) -> Carried:
    """Of the detections of some frames, where it stays within these; arguments as above."""
    first, end = (int(row) for row in np.searchsorted(frame, (window.start, window.stop)))
    inside = (carried.origin >= first) & (carried.origin < end)
    inside &= (carried.frame >= window.start) & (carried.frame < window.stop)
    if not first and not window.start and inside.all():
        return carried
    return Carried(
        carried.origin[inside] - first,
        carried.frame[inside] - window.start,
        carried.boxes[inside],
        carried.trust[inside],
    )


def join_carried(
    parts: Sequence[Carried], windows: Sequence[Window], rows: Sequence[int]
) -> Carried:
    """What was carried from windows that follow each other, as one; as ``join_estimates``.

    Frames count from the first of the first window, which is where ``windows`` begin.
    """
    if len(parts) == 1:
        return parts[0]
    origin = np.concatenate([part.origin + at for part, at in zip(parts, rows, strict=True)])
    frame = np.concatenate([p.frame + w.start for p, w in zip(parts, windows, strict=True)])
    order = np.lexsort((origin, frame))
    boxes, trust = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", "trust")
    )
    return Carried(origin[order], frame[order], boxes[order], trust[order])
