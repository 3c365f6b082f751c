"""The pool of a run, from what the store holds: sums by frame of all clips, read in one scan; rows
and boxes only where a learned model or a strategy looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidal.evidence.gathered import Gathered
from vidal.selection.again import columns_of
from vidal.selection.boxes import EMBEDDING, BoxSide
from vidal.selection.clip_frames import ClipFrames
from vidal.selection.expecting import Expectation, expect, prior_alone
from vidal.selection.lookup import Lookup
from vidal.selection.parts import PoolClip
from vidal.selection.pool import FrameEvidence, fields_for, pool_of
from vidal.selection.stored import Sums, field_of, read_embedding, read_sums
from vidal.types import Annotations, BoolArray, Clip, Detections, FloatArray, Pool

_PRIOR = {"prior", "judgeable"}


def stored_pool(
    lookup: Lookup,
    *,
    needs: frozenset[str],
    threshold: float,
    truth: Mapping[str, Annotations] | None = None,
) -> Pool:
    """The pool of all frames that may be chosen, with the columns that are needed and no others.

    Args:
        lookup: the clips; their summaries were made with the threshold and floor of the query.
        needs, threshold, truth: as for ``build_pool``.

    Raises:
        EvidenceLost: evidence is not there any more, or damaged.
    """
    gathered = lookup.gathered
    frames, classes = ClipFrames.of(list(gathered.clips.values())), gathered.classes
    selectable, labelled = lookup.masks(frames)
    sums = _sums(lookup, frames, needs)
    if gathered.evidence:
        selectable &= sums.pop("scanned")
    if lookup.model is not None and not prior_alone(lookup.model):
        lookup.doubts.begin(selectable, len(classes))
    expected = _expected(lookup, frames, sums, needs)
    looks = beside = None
    if EMBEDDING in needs:
        looks, beside = read_embedding(gathered, frames, selectable, labelled)
    side = BoxSide(classes, needs, threshold, truth)
    _add_boxes(side, lookup, frames, (selectable, labelled), expected, needs)
    count = len(frames.clips)
    evidence = FrameEvidence(
        frames,
        selectable,
        labelled,
        sums,
        expected,
        np.full(count, expected.counts is not None),
        np.full(count, expected.prior, np.float32),
        looks,
        beside,
    )
    return pool_of(evidence, side, classes, needs)


def _sums(lookup: Lookup, frames: ClipFrames, needs: frozenset[str]) -> Sums:
    names = fields_for(needs, ranks=lookup.model is not None and lookup.ranks)
    classes = len(lookup.gathered.classes)
    if not lookup.gathered.evidence:
        return {name: field_of(name, len(frames), classes) for name in names}
    if prior_alone(lookup.model):
        names |= _PRIOR
    return read_sums(lookup.gathered, frames, names | {"scanned"}, classes)


def _expected(lookup: Lookup, frames: ClipFrames, sums: Sums, needs: frozenset[str]) -> Expectation:
    if lookup.model is None or not lookup.gathered.evidence:
        return Expectation()
    return expect(
        lookup.gathered,
        frames,
        lookup.model,
        classes=len(lookup.gathered.classes),
        sums=sums,
        totals=lookup.totals,
        numbers=lookup.numbers,
        ranks=lookup.ranks,
        by_region=lookup.by_region and "false_alarm" in needs,
        doubts=None if lookup.doubts.by_frame is None else lookup.doubts,
    )


def _add_boxes(
    side: BoxSide,
    lookup: Lookup,
    frames: ClipFrames,
    masks: tuple[BoolArray, BoolArray],
    expected: Expectation,
    needs: frozenset[str],
) -> None:
    """Clip by clip, where anybody looks at boxes."""
    if not (side.regions_wanted or side.truth_wanted or side.labels_wanted):
        return
    gathered, entry = lookup.gathered, 0
    tables = {} if lookup.labels is None else lookup.labels.annotations
    for number, clip in enumerate(frames.clips):
        place = slice(int(frames.starts[number]), int(frames.starts[number + 1]))
        selectable, labelled = (mask[place] for mask in masks)
        part = PoolClip(clip, selectable, labelled, None, None, annotations=tables.get(clip.id))
        found = gathered.detections(clip.id) if side.wants(part) else None
        if found is not None:
            verdicts = gathered.estimate(clip.id) if "verdict" in needs else None
            more = _voted(lookup, clip, found)
            if expected.false_alarm:
                more["false_alarm"] = _alarms(gathered, clip, found, expected, entry)
            part = replace(part, detections=found, estimate=verdicts, row_columns=more)
        side.add(part)
        entry += len(gathered.windows(clip.id))


def _voted(lookup: Lookup, clip: Clip, detections: Detections) -> dict[str, NDArray[Any]]:
    """What the snapshots say of a clip's detections."""
    if not lookup.snapshots:
        return {}
    # A clip that was read a moment ago is skipped by none of them.
    earlier = [each.detections(clip.id) for each in lookup.snapshots]
    return columns_of(detections, [table for table in earlier if table is not None])


def _alarms(
    gathered: Gathered, clip: Clip, detections: Detections, expected: Expectation, entry: int
) -> FloatArray:
    """(N,) P(false alarm) of a clip's detections, whose evidence begins with that entry."""
    chance = np.zeros(len(detections), np.float32)
    starts = [window.start for window in gathered.windows(clip.id)]
    for shift, first in enumerate(np.searchsorted(detections.frame, starts).tolist()):
        mine, values = expected.false_alarm[entry + shift]
        chance[mine + first] = values
    return chance
