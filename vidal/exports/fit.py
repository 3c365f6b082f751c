"""What a format has no place for is left out, and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vidal import boxes as box
from vidal.exports.bundle import Boxes, Bundle, Shot
from vidal.exports.targets import Exporter
from vidal.types import UNKNOWN, BoolArray
from vidal.words import counted


def fitted(bundle: Bundle, exporter: Exporter) -> Bundle:
    """The bundle as a format can hold it.

    Unknown objects go where they have no label; regions to be ignored where there is no flag for
    them; boxes are cut to the picture where shares of it are written.
    """
    regions = 0
    if not exporter.ignore:
        regions = sum(int(shot.boxes.ignore.sum()) for shot in bundle.shots)
        bundle = _keeping(bundle, lambda found: ~found.ignore)
    nameless = 0
    if bundle.unknown is None:
        nameless = sum(int((shot.boxes.labels == UNKNOWN).sum()) for shot in bundle.shots)
        bundle = _keeping(bundle, lambda found: found.labels != UNKNOWN)
    cut = 0
    if exporter.shares:
        shots = [_cut(bundle, shot) for shot in bundle.shots]
        cut = sum(
            int((new.boxes.boxes != old.boxes.boxes).any(axis=1).sum())
            for new, old in zip(shots, bundle.shots, strict=True)
        )
        bundle = replace(bundle, shots=tuple(shots))
    return bundle.saying(
        f"{counted(regions, 'region')} to be ignored left out: the format has no place for them."
        if regions
        else "",
        f"{counted(nameless, 'unknown object')} left out (--unknown class takes them along)."
        if nameless
        else "",
        f"{counted(cut, 'box', 'boxes')} cut to the picture." if cut else "",
    )


def _keeping(bundle: Bundle, keep: Callable[[Boxes], BoolArray]) -> Bundle:
    return replace(
        bundle,
        shots=tuple(replace(s, boxes=_rows(s.boxes, keep(s.boxes))) for s in bundle.shots),
    )


def _rows(found: Boxes, keep: BoolArray) -> Boxes:
    if keep.all():
        return found
    notes = tuple(found.notes[at] for at in np.flatnonzero(keep).tolist()) if found.notes else ()
    return Boxes(
        found.boxes[keep], found.labels[keep], found.track[keep], found.ignore[keep], notes
    )


def _cut(bundle: Bundle, shot: Shot) -> Shot:
    boxes = box.clip(shot.boxes.boxes, bundle.clips[shot.ref.clip].size)
    return replace(shot, boxes=replace(shot.boxes, boxes=boxes))
