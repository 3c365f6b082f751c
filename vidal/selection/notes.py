"""What the reader of a result has to be told beside it."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import vidal
from vidal.evidence.gathered import Gathered
from vidal.evidence.places import store_at
from vidal.query.cost import Spent, duration
from vidal.selection.labelled import class_at
from vidal.selection.plan import Prepared, QueryPlan
from vidal.types import UNKNOWN, AnyGap, Clip, Gap, Query
from vidal.words import counted, printable, size_words

LINK_SHARE_WARNING = 0.5
"""Below this share of linked detections the tracker, not the detector, is probably at fault."""
_LISTED = 5


_NO_TIMES = ("images", "none", "order", "opencv")
"""Readers of clips whose times are counted, not read; see ``Clip.reader``."""
_ORDER = "Rank is not score: the strategy chooses frames together, or in an order of its own."


def order_note(query: Query, drawn: int, selector: Any) -> tuple[str, ...]:
    """A remark where a later rank has the higher score.

    Args:
        query: its last ``drawn`` frames, drawn at random, are not looked at.
        drawn: how many.
        selector: what chose the others; it, or what it wraps, may say why (``order_words``).
    """
    scores = query.scores[: len(query) - drawn]
    if not (np.diff(scores) > 0).any():
        return ()
    words = ""
    while selector is not None and not words:
        words = getattr(selector, "order_words", "")
        selector = getattr(selector, "inner", None)
    return (words or _ORDER,)


def gap_note(gap: AnyGap, clips: Iterable[Clip]) -> tuple[str, ...]:
    """A remark where the gap is in seconds and clips have no times of their own."""
    kept = Gap.of(gap)
    if kept.unit == "frames" or not kept:
        return ()
    rates = Counter(clip.rate for clip in clips if clip.reader in _NO_TIMES)
    return tuple(
        f"{counted(count, 'clip states', 'clips state')} no times: the gap of {kept.words} was"
        f" reckoned at {float(rate):g} frames a second."
        for rate, count in sorted(rates.items())
    )


def lost_note(clips: Sequence[str]) -> tuple[str, ...]:
    """A remark on clips whose measured motion was taken out of the cache, and that are gone."""
    if not clips:
        return ()
    return (
        f"The measured motion of {counted(len(clips), 'clip')} is not in the cache any more"
        f" ({', '.join(clips[:_LISTED])}) and cannot be measured again, since their frames cannot"
        " be read: reasons there do not say which neighbouring frames show a box.",
    )


def notes_on(prepared: Prepared, found: Gathered, query: Query) -> tuple[str, ...]:
    """Remarks on a query, one sentence each."""
    notes = list(prepared.notes)
    if prepared.wanted is not None and len(query) < prepared.wanted:
        notes.append(
            f"Only {len(query):,} of the {prepared.wanted:,} frames asked for could be chosen: the"
            " neighbours of chosen and labelled frames are excluded (--gap)."
        )
    cut = [clip for clip in found.clips.values() if clip.truncated]
    if cut:
        notes.append(
            f"{counted(len(cut), 'clip ends', 'clips end')} early; what is readable was used:"
            f" {', '.join(clip.path.name for clip in cut[:5])}."
        )
    lost = sum(known.lost for known in found.evidence.values())
    if lost:
        notes.append(f"{counted(lost, 'frame')} did not decode and could not be selected.")
    judged = sum(known.judged for known in found.evidence.values())
    if judged:
        linked = sum(known.link_share * known.judged for known in found.evidence.values()) / judged
        if linked < LINK_SHARE_WARNING:
            notes.append(
                f"Only {linked:.0%} of the detections were linked to a neighbouring frame: motion"
                " may be too large for the tracker, and the error estimates unreliable."
            )
    kept = budget_note(found.store) if found.evidence else ()
    return (*notes, *kept, *_unknown(prepared, found.classes))


def budget_note(root: Path) -> tuple[str, ...]:
    """A remark on a store that is larger than it may be."""
    above = store_at(root).over_budget
    if not above:
        return ()
    return (
        f"The evidence in {root} is {size_words(above)} larger than its budget: runs of the last"
        f" day need it. Give it more: vidal cache budget {root} SIZE.",
    )


def _unknown(prepared: Prepared, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Which labels count as unknown objects, where a detector's classes say so."""
    tables = {} if prepared.labels is None else prepared.labels.annotations
    counts: Counter[str] = Counter()
    boxes = 0
    for table in tables.values():
        use = ~table.ignore
        boxes += int(use.sum())
        for label in np.unique(table.labels[use]).tolist():
            name = "" if label == UNKNOWN else table.classes[label]
            if label == UNKNOWN or class_at(name, classes) == UNKNOWN:
                counts[name] += int(np.count_nonzero(table.labels[use] == label))
    if not counts or not classes:
        return ()
    total = sum(counts.values())
    named = [f"{printable(name)} ({count:,})" for name, count in counts.most_common() if name]
    some = ", ".join(named[:_LISTED]) + (", ..." if len(named) > _LISTED else "")
    every = " all" if total == boxes else ""
    told = "is" if total == 1 else "are"
    counts_as = "counts as an unknown object" if total == 1 else "count as unknown objects"
    return (
        f"Of {counted(boxes, 'labelled box', 'labelled boxes')}{every} {total:,} {told} of none"
        f" of the detector's classes and {counts_as}{f': {some}' if some else ''}.",
    )


def unused_budget(plan: QueryPlan, spent: Spent | None, selectable: int) -> tuple[str, ...]:
    """A remark where a budget in boxes or time would have paid for more than there was.

    Args:
        plan: its budget is read.
        spent: what the chosen frames are expected to cost.
        selectable: how many frames were not labelled.
    """
    unit = plan.budget.unit
    if unit == "frames" or spent is None or not spent.frames:
        return ()
    left = float(plan.budget.amount) - spent.of(unit)
    if left < spent.of(unit) / spent.frames:
        return ()
    used = (
        counted(round(spent.boxes), "box", "boxes") if unit == "boxes" else duration(spent.seconds)
    )
    why = (
        "there are no others"
        if spent.frames >= selectable
        else "of the others none that fits could be chosen (neighbours of chosen and labelled"
        " frames are excluded, --gap)"
    )
    words = f"The chosen frames are expected to cost {used} of the budget of {plan.budget.text}"
    return (f"{words}: {why}.",)


def versions() -> dict[str, str]:
    """Of vidal, Python and the libraries that shape a result."""
    named = {"vidal": vidal.__version__, "python": platform.python_version()}
    for name in ("torch", "torchvision", "numpy", "scipy", "opencv-python-headless", "av"):
        named[name] = metadata.version(name)
    return named
